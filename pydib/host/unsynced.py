"""Programs that do not wait for the disk: of a tree whose build dies nothing is kept, so nothing needs to be safe.

An overlay has the option `volatile` for that. Where programs write to a plain directory, their calls for it do nothing
and succeed, as under systemd-nspawn's --suppress-sync. A package manager makes thousands of them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydib.host import seccomp

_T = TypeVar("_T")
_X86_64 = (74, 75, 162, 26, 277, 306)
_I386 = (118, 148, 36, 144, 314, 344)
_AARCH64 = (82, 83, 81, 227, 84, 267)
_ARM = (118, 148, 36, 144, 341, 373)
CALLS: seccomp.Calls = {
    "x86_64": {seccomp.X86_64: (*_X86_64, *(seccomp.X32 | number for number in _X86_64)), seccomp.I386: _I386},
    "aarch64": {seccomp.AARCH64: _AARCH64, seccomp.ARM: _ARM}}
"""fsync(2), fdatasync(2), sync(2), msync(2), sync_file_range(2) and syncfs(2), in this order."""


class Unsynced:
    """Calls functions in a thread of its own; programs that these start do not wait for the disk."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="unsynced")

    def begin(self) -> str:
        """Begin; gives why it cannot be, or an empty text. Filters that this thread is under hold in there, too."""
        try:
            self._thread.submit(seccomp.begin, CALLS, seccomp.SUCCEED_AT_ONCE).result()
        except NotImplementedError as error:
            return str(error)
        except OSError as error:
            return error.strerror or "the kernel refuses"
        return ""

    def __call__(self, function: Callable[[], _T]) -> _T:
        """What `function` gives, or raises."""
        return self._thread.submit(function).result()
