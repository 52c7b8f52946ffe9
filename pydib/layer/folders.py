"""Folders of layers: their looks, given to another folder and compared, and whether they hide what is below."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydib.layer.content import attributes


def looks(folder: Path) -> tuple[int, int, int, int, list[tuple[bytes, bytes]]]:
    """All that can be seen of the folder itself: mode, owners, time of change, extended attributes."""
    info = folder.lstat()
    return info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, attributes(folder)


def dress(folder: Path, like: Path) -> None:
    """Give a fresh folder of an upper directory the looks of the one below it: overlayfs shows the upper's."""
    info = like.lstat()
    os.chown(folder, info.st_uid, info.st_gid)
    folder.chmod(stat.S_IMODE(info.st_mode))
    for name, value in attributes(like):
        if not name.startswith(b"overlay."):
            os.setxattr(folder, name, value)
    os.utime(folder, ns=(info.st_atime_ns, info.st_mtime_ns))


def is_opaque(folder: str | Path) -> bool:
    """Whether this folder of a layer hides what lies below it in the same place."""
    return (b"overlay.opaque", b"y") in attributes(folder)
