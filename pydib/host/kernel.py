"""System calls that Python has no function for, each as one that raises OSError. Names and flags are the kernel's."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_BIND, MS_REC = 0x1000, 0x4000
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def mount(source: str | Path, target: Path, *, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _checked(_libc.mount(os.fsencode(source), os.fsencode(target), fstype.encode() or None, flags,
                         data.encode() or None), target)


def detach(target: Path) -> None:
    """umount2(2) with MNT_DETACH: the mount is gone at once, whoever still uses it."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def pivot_root(new_root: Path, put_old: Path) -> None:
    """pivot_root(2): `new_root` becomes this mount namespace's root, the old one lies on `put_old` then."""
    _checked(_libc.pivot_root(os.fsencode(new_root), os.fsencode(put_old)), new_root)


def _checked(answer: int, path: Path) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
