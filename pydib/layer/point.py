"""The tree as it was at a point of a build, out of its layers, mounted for our eyes only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydib.errors import InputError
from pydib.host import kernel
from pydib.layer import keys
from pydib.layer.history import NoSuchBuild, ran_line
from pydib.layer.records import BuildRecord
from pydib.layer.store import Store
from pydib.layer.tree import Tree

POINTS = ("before", "after")


def state_at(build: BuildRecord, point: str) -> str:
    """The state that `point`, `before:SCRIPT` or `after:SCRIPT`, means.

    Raises:
        InputError: the build had no such script.
    """
    side, _, script = point.partition(":")
    line = ran_line(build, script)
    if side not in POINTS or line is None:
        raise InputError(f"{point} is neither a file nor a point of the last build", where=build.image,
                         hint="write before:install.d/20-x or after:install.d/20-x; `pydib why` lists the scripts")
    return line.before if side == "before" else line.after


def own_mounts() -> None:
    """What this process mounts from now on nobody else sees, and it goes with the process. Needs root, of a user
    namespace at least."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)


@contextmanager
def mounted_state(store: Store, state: str) -> Iterator[Path]:
    """The tree in that state, for as long as the block lasts. What mounts scripts had left is not in it.

    Raises:
        NoSuchBuild: layers are gone, or damaged.
    """
    if state != keys.EMPTY and (problem := store.claim(state)):
        raise NoSuchBuild(f"that tree cannot be had: {problem}", hint="build the image once more")
    with tempfile.TemporaryDirectory(prefix="pydib-point-") as folder:
        place, parking = Path(folder, "tree"), Path(folder, "parking")
        place.mkdir()
        parking.mkdir()
        tree = Tree(store, place, parking, keys.Fold([]), private=[Path(folder)], objection=lambda changes: "")
        try:
            tree.open()
            tree.go_to(state, skeleton=False)
            yield place
        finally:
            tree.close()
