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

from pydib.host import kernel, seccomp

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

    def numbers(self) -> list[int]:
        """All that there are."""
        return [number for number in (self.rename, self.renameat, self.renameat2) if number is not None]


UNKNOWN = Path("/a directory that could not be told")
_KINDS: dict[str, dict[int, tuple[_Calls, ...]]] = {
    "x86_64": {
        seccomp.X86_64: (_Calls(rename=82, renameat=264, renameat2=316),
                         _Calls(rename=seccomp.X32 | 82, renameat=seccomp.X32 | 264, renameat2=seccomp.X32 | 316)),
        seccomp.I386: (_Calls(rename=38, renameat=302, renameat2=353),)},
    "aarch64": {
        seccomp.AARCH64: (_Calls(rename=None, renameat=38, renameat2=276),),
        seccomp.ARM: (_Calls(rename=38, renameat=329, renameat2=382),)},
}
"""By machine and kind of program: the calls to look at."""
CALLS: seccomp.Calls = {machine: {kind: [number for one in calls for number in one.numbers()]
                                  for kind, calls in kinds.items()} for machine, kinds in _KINDS.items()}


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
        self._kinds = _KINDS.get(platform.machine(), {})
        threading.Thread(target=self._watch, name="renames", daemon=True).start()  # not filtered: it is older
        self._listener = -1
        try:
            self._listener = seccomp.begin(CALLS, seccomp.NOTIFY)
        except (OSError, NotImplementedError) as error:
            return f"renames cannot be watched: {getattr(error, 'strerror', None) or error}"
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
