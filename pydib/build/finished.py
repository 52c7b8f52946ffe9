"""Finished outputs: when the finished tree, the disk and the wishes are those of an earlier build, its outputs are
handed out again instead of being made.

An output is that earlier one when size, times and inode number of its file are those written down. Where only the time
of its inode differs, a name of it came or went (then their number differs, too), or its content is compared. What lies
in the store is a hard link of it: whoever writes to an image makes it another one for us.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydib import events
from pydib.build.decide import Order
from pydib.build.layers import Layers
from pydib.build.no_layers import NoLayers
from pydib.build.outputs import publish_made, staged
from pydib.errors import CommandFailed
from pydib.host.command import run
from pydib.image.check import aci_manifest, gzip_program
from pydib.layer.keys import digest

LAST_PHASES = frozenset({"image-file"})
"""Phases whose scripts work on the disk image alone: handed-out outputs have their work in them."""
QUICKLY_MADE = ("raw", "tar")
"""Outputs that are made as fast as they could be compared."""


class Finished:
    """The outputs of one build, as an earlier build may have made them.

    Args:
        layers: the build's layers; without any nothing is handed out.
        size_bytes: the size of the disk.
        seed, moment: what its identifiers and times come from; without a seed every disk is another one.
    """

    def __init__(self, order: Order, layers: NoLayers | Layers, *, size_bytes: int, seed: str, moment: int) -> None:
        self._order = order
        self._recipe = order.prepared.recipe
        self._store = layers.store if isinstance(layers, Layers) else None
        self._key = self._key_of(layers, size_bytes, seed, moment) if isinstance(layers, Layers) and seed else ""
        self._known: Mapping[str, Any] = {}
        if self._store is not None and self._key:
            self._known = self._store.image(self._key) or {}

    def _key_of(self, layers: Layers, size_bytes: int, seed: str, moment: int) -> str:
        """What the outputs depend on; empty when no outputs of an earlier build can stand for these."""
        prepared, recipe = self._order.prepared, self._recipe
        env = recipe.environment
        later = layers.later_scripts()
        if (not prepared.in_tree_mode or not layers.final or not prepared.outputs or "docker" in prepared.outputs
                or env.get("EXTRA_DETACH") or env.get("EXTRA_UNMOUNT") or {phase for phase, _ in later} - LAST_PHASES):
            return ""
        manifest = aci_manifest(recipe) if "aci" in prepared.outputs else None
        return digest({
            "tree": layers.final, "disk": repr(prepared.graph), "bytes": size_bytes, "seed": seed,
            "moment": moment, "outputs": list(prepared.outputs),
            "compress": recipe.compress, "compression": recipe.compression, "options": recipe.qemu_img_options,
            "gzip": str(gzip_program(recipe)), "manifest": manifest.read_text() if manifest else "",
            "scripts": layers.what_later_scripts_see(later), "engine": layers.engine,
        })

    @property
    def at_hand(self) -> bool:
        """Whether every output is there, unchanged since it was made."""
        return bool(self._known) and all(self._place(kind) for kind in self._order.prepared.outputs)

    def _place(self, kind: str) -> Path | None:
        """Where the output lies: under its final name, or in the store."""
        known = self._known.get(kind, {})
        for place in (self._recipe.output(kind), Path(known.get("kept") or "/nonexistent")):
            if known and _is_still(place, known):
                return place
        return None

    def hand_out(self, report: events.Reporter) -> None:
        """Give each output its final name, unless it has that already."""
        assert self._store is not None
        self._store.image_used(self._key)
        for kind in self._order.prepared.outputs:
            place, final = self._place(kind), self._recipe.output(kind)
            assert place is not None
            if place == final and self._has_checksums(final):
                report(events.Note(text=f"{final.name} is the image already: nothing that it depends on has changed"))
                report(events.ImageWritten(path=str(final), kind=kind, size=final.stat().st_blocks * 512))
                continue
            _copy(place, staged(self._order, kind))
            report(events.Note(text=f"{final.name} is handed out again: nothing that it depends on has changed"))
            publish_made(self._order, kind, report)
            self._keep(kind)

    def _has_checksums(self, final: Path) -> bool:
        return all(final.with_name(f"{final.name}.{kind}").exists() for kind in self._recipe.checksums)

    def keep(self) -> None:
        """Write down the outputs that this build made."""
        if self._store is not None and self._key:
            self._known = {}
            for kind in self._order.prepared.outputs:
                self._keep(kind)

    def _keep(self, kind: str) -> None:
        """A hard link keeps an output for later, where the store lies on the same filesystem."""
        assert self._store is not None
        final = self._recipe.output(kind)
        kept = self._store.image_file(self._key, kind)
        with contextlib.suppress(OSError):
            kept.unlink(missing_ok=True)
            try:
                os.link(final, kept)
            except OSError:
                kept = Path()
            known = {"signature": _signature(final), "kept": str(kept) if kept.name else "", "made_as": str(final),
                     "sha256": "" if kind in QUICKLY_MADE else _sum(final)}
            self._known = {**self._known, kind: known}
            self._store.keep_image(self._key, self._known)


def _signature(path: Path) -> list[int]:
    """What tells a file from every other, and from itself before somebody wrote to it."""
    try:
        info = path.stat(follow_symlinks=False)
    except OSError:
        return []
    return [info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_nlink, info.st_ctime_ns]


def _is_still(path: Path, known: Mapping[str, Any]) -> bool:
    now, then = _signature(path), known["signature"]
    if not now or now[:4] != then[:4]:
        return False
    if now[5] == then[5] or now[4] != then[4]:
        return True
    return bool(known["sha256"]) and _sum(path) == known["sha256"]


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    """A file of its own with the same content, sharing blocks where the filesystem can."""
    try:
        run("cp", "--reflink=auto", "--sparse=auto", "--preserve=mode,timestamps", "--", source, target)
    except CommandFailed:
        target.unlink(missing_ok=True)
        raise
