"""System calls that Python has no function for, each as one that raises OSError. Names and flags are the kernel's."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

MS_RDONLY, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 0x1000, 0x2000, 0x4000, 0x40000
MNT_DETACH = 2
CLONE_FS = 0x200
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000)

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SYS_OPENAT2, _SYS_MOUNT_SETATTR = 437, 442
"""The same numbers on every architecture that Debian builds for (unlike older calls)."""
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


class _MountAttributes(ctypes.Structure):
    """`struct mount_attr`."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def mount(source: str | Path, target: Path, *, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _checked(_libc.mount(os.fsencode(source), os.fsencode(target), fstype.encode() or None, flags,
                         data.encode() or None), target)


def unmount(target: Path) -> None:
    """umount2(2)."""
    _checked(_libc.umount2(os.fsencode(target), 0), target)


def detach(target: Path) -> None:
    """umount2(2) with MNT_DETACH: the mount is gone at once, whoever still uses it."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def make_read_only(target: Path) -> None:
    """mount_setattr(2): the mount on `target` and all below it, each for this mount namespace only. Linux 5.12."""
    wanted = _MountAttributes(set=_MOUNT_ATTR_RDONLY)
    _checked(_libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, ctypes.byref(wanted),
                           ctypes.sizeof(wanted)), target)


class _OpenHow(ctypes.Structure):
    """`struct open_how`."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def open_in_root(root: int, path: str) -> int:
    """openat2(2): a descriptor (O_PATH) of what `path` names for whose root directory is the descriptor `root`; a link
    at its end is not followed. Linux 5.6."""
    how = _OpenHow(flags=os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, resolve=_RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    return _number(_libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def seccomp(call: int, program: bytes, *, listener: bool) -> int:
    """seccomp(2): put the calling thread, and all that it starts, under the filter `program`; gives the descriptor to
    receive notifications from, when `listener` asks for one, else 0.

    Args:
        call: the number of seccomp(2) on this machine.
    """
    wanted = _Program(length=len(program) // 8, instructions=program)
    return _number(_libc.syscall(call, _SECCOMP_SET_MODE_FILTER,
                                 _SECCOMP_FILTER_FLAG_NEW_LISTENER if listener else 0, ctypes.byref(wanted)))


def pivot_root(new_root: Path, put_old: Path) -> None:
    """pivot_root(2): `new_root` becomes this mount namespace's root, the old one lies on `put_old` then."""
    _checked(_libc.pivot_root(os.fsencode(new_root), os.fsencode(put_old)), new_root)


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc.unshare(flags))


def die_with_parent() -> None:
    """prctl(2), PR_SET_PDEATHSIG: SIGKILL when the thread ends that started us."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def adopt_orphans(wanted: bool) -> None:
    """prctl(2), PR_SET_CHILD_SUBREAPER: whether children of our children become ours when those end."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0))


def _number(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _checked(answer: int, path: Path | None = None) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *([str(path)] if path else []))
