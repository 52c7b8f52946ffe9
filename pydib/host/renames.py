"""Sees directories that a script renames, while it does so, by seccomp's user notification (seccomp_unotify(2)).

In a user namespace overlayfs cannot rename a directory of a lower layer (EXDEV), as any other filesystem can. A script
may fail of that, pass over it, or copy instead; afterwards nothing tells which. So every rename is looked at before the
kernel carries it out. Nothing is forbidden or changed: this is no wall.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import stat
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydib.host import kernel

_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_ARCHITECTURE, _NUMBER = 4, 0
"""Where `struct seccomp_data` has the audit architecture and the number of the system call."""
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTIFICATION, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_CONTINUE = 1
_AT_FDCWD = -100
_EXCHANGE = 2
_LONGEST_PATH = 4096
_PAGE = 4096


@dataclass(frozen=True, kw_only=True)
class _Calls:
    """Numbers of rename(2), renameat(2) and renameat2(2) for one kind of program; None where there is none."""

    rename: int | None
    renameat: int
    renameat2: int


_X32 = 0x40000000
UNKNOWN = Path("/a directory that could not be told")
_KINDS: dict[str, tuple[int, dict[int, tuple[_Calls, ...]]]] = {
    "x86_64": (317, {
        0xC000003E: (_Calls(rename=82, renameat=264, renameat2=316),
                     _Calls(rename=_X32 | 82, renameat=_X32 | 264, renameat2=_X32 | 316)),
        0x40000003: (_Calls(rename=38, renameat=302, renameat2=353),)}),
    "aarch64": (277, {
        0xC00000B7: (_Calls(rename=None, renameat=38, renameat2=276),),
        0x40000028: (_Calls(rename=38, renameat=329, renameat2=382),)}),
}
"""By machine: the number of seccomp(2), and by audit architecture (linux/audit.h) the calls to look at."""


class RenameWatch:
    """Watches over the renames of this process and of all that it starts from now on, until it ends.

    Args:
        concerns: told the path of each directory that is about to be renamed, as this process sees it, or UNKNOWN;
            called in a thread of its own, while the one that renames waits.
    """

    def __init__(self, concerns: Callable[[Path], None]) -> None:
        self._concerns = concerns
        self._started = threading.Event()

    def begin(self) -> str:
        """Begin; gives why it cannot be, or an empty text."""
        if platform.machine() not in _KINDS:
            return f"renames cannot be watched on {platform.machine()}"
        call, self._kinds = _KINDS[platform.machine()]
        threading.Thread(target=self._watch, name="renames", daemon=True).start()  # not filtered: it is older
        self._listener = -1
        try:
            self._listener = kernel.seccomp_listener(call, _filter(self._kinds))
        except OSError as error:
            return f"renames cannot be watched: {error.strerror}"
        finally:
            self._started.set()
        return ""

    def _watch(self) -> None:
        self._started.wait()
        if self._listener < 0:
            return
        kernel.unshare(kernel.CLONE_FS)  # the engine goes into chroots for moments
        while True:
            buffer = bytearray(_NOTIFICATION.size)
            try:
                fcntl.ioctl(self._listener, _RECEIVE, buffer)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):  # whoever asked was ended
                    continue
                return
            number, *rest = _NOTIFICATION.unpack(buffer)
            try:
                self._look(rest)
            except Exception:  # whatever it was: without an answer every rename would wait for ever
                with contextlib.suppress(Exception):
                    self._concerns(UNKNOWN)
            try:
                fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(number, 0, 0, _CONTINUE))
            except OSError:
                continue

    def _look(self, asked: list[int]) -> None:
        thread, _, call, architecture, _, *arguments = asked
        for folder, address in _operands(self._kinds[architecture], call, arguments):
            try:
                path = _directory_at(thread, folder, address)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH, errno.ELOOP, errno.ENAMETOOLONG):
                    continue  # so the kernel will say, too
                path = UNKNOWN
            if path is not None:
                self._concerns(path)


def _filter(kinds: dict[int, tuple[_Calls, ...]]) -> bytes:
    """A classic BPF program that has the calls of `kinds` told, and lets all pass."""
    program = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for architecture, calls in kinds.items():
        numbers = [number for one in calls for number in (one.rename, one.renameat, one.renameat2)
                   if number is not None]
        program.append((_IF_EQUAL, 0, len(numbers) * 2 + 2, architecture))
        program.append((_LOAD, 0, 0, _NUMBER))
        for number in numbers:
            program += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOTIFY)]
        program.append((_RETURN, 0, 0, _ALLOW))
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in program)


def _operands(kinds: tuple[_Calls, ...], call: int, arguments: list[int]) -> list[tuple[int, int]]:
    """What the call renames: a descriptor of the directory to begin at, and the address of the path."""
    if any(call == one.rename for one in kinds):
        return [(_AT_FDCWD, arguments[0])]
    found = [(_signed(arguments[0]), arguments[1])]
    if any(call == one.renameat2 for one in kinds) and arguments[4] & _EXCHANGE:
        found.append((_signed(arguments[2]), arguments[3]))
    return found


def _signed(value: int) -> int:
    return ctypes.c_int32(value & 0xFFFFFFFF).value


def _directory_at(thread: int, folder: int, address: int) -> Path | None:
    """The directory that another thread names so, as we see it; None if it is none."""
    name = _text_at(thread, address)
    top = os.readlink(f"/proc/{thread}/root")
    begin = os.readlink(f"/proc/{thread}/cwd" if folder == _AT_FDCWD else f"/proc/{thread}/fd/{folder}")
    if not name.startswith("/"):
        inside = begin[len(top.rstrip("/")):] if begin.startswith(top) else begin
        name = f"{inside}/{name}"
    root = os.open(f"/proc/{thread}/root", os.O_PATH | os.O_DIRECTORY)
    try:
        found = kernel.open_in_root(root, name.rstrip("/") or "/")
    finally:
        os.close(root)
    try:
        return Path(os.readlink(f"/proc/self/fd/{found}")) if stat.S_ISDIR(os.fstat(found).st_mode) else None
    finally:
        os.close(found)


def _text_at(thread: int, address: int) -> str:
    """The text, up to a zero, in the memory of another thread; no page behind it is touched."""
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        data = b""
        while b"\0" not in data and len(data) < _LONGEST_PATH:
            at = address + len(data)
            data += os.pread(memory, _PAGE - at % _PAGE, at)
        return os.fsdecode(data.partition(b"\0")[0])
    finally:
        os.close(memory)
