"""The part of the tree that belongs to one filesystem: what lies below its mount point, without what lies below others.

In device mode mount points hide what is below them in their parent. Here a bind mount shows a mount point's folder
without what is mounted in it, and an empty folder is bound over each mount point in there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydib.blockdev.create.mounts import make_directories
from pydib.errors import BlockDeviceError
from pydib.host.mount import mounted


def make_mount_points(tree: Path, points: Sequence[str]) -> None:
    """Make the folders of `points` in `tree` where they are missing, readable for all, as device mode does (C-221).

    Raises:
        BlockDeviceError: one is no folder, or leads through a symbolic link.
    """
    for point in points:
        place = tree / point.lstrip("/")
        for part in (place, *place.parents):
            if part == tree:
                break
            if part.is_symlink() or (part.exists() and not part.is_dir()):
                raise BlockDeviceError(f"the mount point {point} cannot be: /{part.relative_to(tree)} is no folder",
                                       where="the tree", hint="mount that filesystem at a real folder")
        make_directories(place)


def inner_mount_points(point: str, points: Sequence[str]) -> tuple[str, ...]:
    """Those of `points` that lie below `point` with none of the others between, in their order.

    >>> inner_mount_points("/", ["/", "/boot", "/boot/efi", "/var"])
    ('/boot', '/var')
    """
    below = [one for one in points if one != point and _is_below(one, point)]
    return tuple(one for one in below if not any(other != one and _is_below(one, other) for other in below))


def _is_below(inner: str, outer: str) -> bool:
    return inner.startswith(outer.rstrip("/") + "/")


@contextmanager
def view(tree: Path, point: str, points: Sequence[str], work: Path) -> Iterator[Path]:
    """A folder that shows what belongs onto the filesystem mounted at `point`, for as long as the block lasts.

    Args:
        tree: the whole tree; `make_mount_points` was there.
        points: all mount points.
        work: an existing folder for what this needs; empty afterwards, and outside the tree.
    """
    inside, top = inner_mount_points(point, points), tree / point.lstrip("/")
    if not inside:
        yield top
        return
    with ExitStack() as stack:
        place = stack.enter_context(_folder(work / "view"))
        stack.enter_context(mounted(top, place, options="bind"))
        for number, hidden in enumerate(inside):
            empty = stack.enter_context(_folder(work / f"empty{number}"))
            _like(empty, tree / hidden.lstrip("/"))
            stack.enter_context(mounted(empty, place / os.path.relpath(hidden, point), options="bind"))
        yield place


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    path.mkdir()
    try:
        yield path
    finally:
        path.rmdir()


def _like(folder: Path, other: Path) -> None:
    """Give `folder` owner, mode and times of `other`."""
    found = other.stat()
    os.chown(folder, found.st_uid, found.st_gid)
    shutil.copystat(other, folder)
