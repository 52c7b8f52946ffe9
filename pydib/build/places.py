"""Places outside the tree: those that say nothing about an image, and those where scripts may leave something."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydib import paths
from pydib.build.decide import Order
from pydib.layer import keys
from pydib.paths import Layout


class Beside:
    """What lies in the build's directories, and beside the output under its name. Only scripts on the host can write
    there.

    Args:
        stem: the output's path without its ending.
        watched: whether to look at all.
        own: files that the engine itself writes meanwhile.
    """

    def __init__(self, layout: Layout, stem: Path, *, watched: bool, own: Iterable[str] = ()) -> None:
        self._layout, self._stem, self._watched = layout, stem, watched
        self._own = {os.path.realpath(path) for path in own if path}
        self._known = self._look()

    def new(self) -> str:
        """A path that was made or changed there since the last time; empty when there is none."""
        before, self._known = self._known, self._look()
        return min((path for path, _ in self._known - before), default="")

    def _look(self) -> frozenset[tuple[str, int]]:
        if not self._watched:
            return frozenset()
        layout, stem = self._layout, self._stem
        known = {layout.mount.name, layout.hooks.name, "parking", "block-device", "states", ".pydib-build"}
        found: set[tuple[str, int]] = set()
        for folder, wanted in ((layout.build_dir, lambda name: name not in known), (layout.image_dir, bool),
                               (stem.parent, lambda name: name.startswith(stem.name + "."))):
            with contextlib.suppress(OSError):
                found.update((entry.path, entry.stat(follow_symlinks=False).st_ctime_ns)
                             for entry in os.scandir(folder)
                             if wanted(entry.name) and os.path.realpath(entry.path) not in self._own)
        return frozenset(found)


def places(order: Order, elements: Mapping[str, Path]) -> keys.Fold:
    """Directories that say nothing about an image, as words."""
    recipe, layout = order.prepared.recipe, order.layout
    home = paths.home(recipe.environment)
    return keys.Fold([
        *((path, f"{{element {name}}}") for name, path in elements.items()),
        *((path, f"{{elements {number}}}") for number, path in enumerate(recipe.elements_path)),
        (home, "{home}"), (paths.lockfiles(recipe.environment), "{lockfiles}"),
        (recipe.image_cache, "{cache}"), (paths.lib_dir(), "{lib}"), (layout.build_dir, "{build}"),
        (layout.image_dir, "{image}"), (order.staging_dir, "{staging}"),
    ])


def content_of_folder(folder: Path) -> str:
    """A digest of the files in `folder`, names and contents."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(folder)} {path.stat().st_mode:o}\n".encode() + path.read_bytes())
    return total.hexdigest()
