"""What a script under test sees, as mounts: the fake root or a room on the host, and nothing else of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydib.host.keeper import Mount

MERGED = ("bin", "sbin", "lib", "lib64")
KIT = "/dev/pydib-testkit"
"""Where scripts find the directory of the stand-ins."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Where things of one run lie.

    Args:
        root: the fake root.
        base: the test's directory: scripts on the host may write there.
        kit: directory of the stand-ins.
        hooks: the hook tree.
        lower: layers below /usr, upper-most first; the machine's own /usr is added.
        devices: a /dev.
        host_root: an empty tree that becomes the root of scripts on the host.
        visible: further directories that these see, read-only.
        writable: further directories that these may write to.
    """

    root: Path
    base: Path
    kit: Path
    hooks: Path
    lower: Sequence[Path]
    devices: Path
    host_root: Path
    visible: Sequence[Path] = field(default=())
    writable: Sequence[Path] = field(default=())


def target_mounts(view: View) -> list[Mount]:
    """For a script that runs in the fake root."""
    inside = str(view.root / "tmp/in_target.d")
    return [*_filled(view, view.root), Mount(kind="mkdir", source=inside),
            Mount(kind="bind-ro", source=str(view.hooks), target=inside)]


def host_mounts(view: View, *, filled: bool) -> list[Mount]:
    """For a script that runs on the host. With `filled` the fake root has its mounts, too, so that chroot works."""
    top = view.host_root
    mounts = [
        Mount(kind="overlay", source="overlay", target=str(top / "usr"), data=f"{_lower(view)},userxattr"),
        *_devices(view, top),
        Mount(kind="bind-ro", source=str(view.base / "etc"), target=str(top / "etc")),
        Mount(kind="tmpfs", source="tmpfs", target=str(top / "tmp"), data="mode=1777"),
    ]
    for place in _outermost((*view.visible, *interpreter())):
        mounts.append(Mount(kind="bind-ro", source=str(place), target=f"{top}{place}"))
    for place in (*view.writable, view.base):
        mounts.append(Mount(kind="bind", source=str(place), target=f"{top}{place}"))
    if filled:
        mounts += _filled(view, Path(f"{top}{view.root}"))
    return [*mounts, Mount(kind="read-only", source=str(top))]


def interpreter() -> list[Path]:
    """Directories that our Python needs, so far as they are not below /usr: element programs run with it."""
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent}
    return sorted(place for place in places if not place.is_relative_to("/usr") or place.is_relative_to("/usr/local"))


def _filled(view: View, root: Path) -> list[Mount]:
    mounts = []
    upper = view.root / "usr"
    mounts.append(_overlay(view, root / "usr", upper, ""))
    for name in MERGED:
        if (view.root / name).is_dir() and not (view.root / name).is_symlink():
            mounts.append(_overlay(view, root / name, view.root / name, name))
    return [*mounts, *_devices(view, root)]


def _overlay(view: View, place: Path, upper: Path, folder: str) -> Mount:
    # volatile: unmounting does not wait for the disk; such a work directory can be used only once
    number = sum(1 for _ in view.base.glob("work-*"))
    work = view.base / f"work-{number}"
    work.mkdir()
    data = f"{_lower(view, folder)},upperdir={upper},workdir={work},volatile,userxattr"
    return Mount(kind="overlay", source="overlay", target=str(place), data=data)


def _lower(view: View, folder: str = "") -> str:
    places = [layer / folder if folder else layer for layer in (*view.lower, Path("/usr"))]
    return "lowerdir=" + ":".join(str(place) for place in places if place.is_dir())


def _devices(view: View, root: Path) -> list[Mount]:
    return [Mount(kind="bind-ro", source=str(view.devices), target=str(root / "dev")),
            Mount(kind="tmpfs", source="tmpfs", target=str(root / "dev/shm"), data="mode=1777"),
            Mount(kind="bind", source=str(view.kit), target=f"{root}{KIT}")]


def _outermost(places: Iterable[Path]) -> list[Path]:
    """Without those that lie in another one."""
    kept: list[Path] = []
    for place in sorted({Path(os.path.abspath(place)) for place in places}):
        if not any(place.is_relative_to(other) for other in kept):
            kept.append(place)
    return kept
