"""Filters over the system calls of a thread and of all that it starts, see seccomp(2): means of work, no walls."""

from __future__ import annotations

import platform
import struct
from collections.abc import Mapping, Sequence

from pydib.host import kernel

NOTIFY, SUCCEED_AT_ONCE = 0x7FC00000, 0x00050000
"""What happens to a call: SECCOMP_RET_USER_NOTIF; SECCOMP_RET_ERRNO with 0, so that it does nothing and succeeds."""
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
"""What the kernel calls kinds of programs (linux/audit.h)."""
X32 = 0x40000000
"""Added to the numbers of x86-64's calls by programs with short pointers."""

_ALLOW = 0x7FFF0000
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ARCHITECTURE, _NUMBER = 4, 0
"""Where `struct seccomp_data` has the kind of program and the number of the system call."""
_SECCOMP = {"x86_64": 317, "aarch64": 277}
"""The number of seccomp(2) itself."""

Calls = Mapping[str, Mapping[int, Sequence[int]]]
"""Numbers of system calls, by machine (as uname(1) names it) and kind of program."""


def begin(calls: Calls, action: int) -> int:
    """From now on `action` happens to these calls of the calling thread and of all that it starts.

    Returns:
        the descriptor to receive notifications from, or 0 when the action is not NOTIFY.

    Raises:
        OSError: the kernel refuses; the thread needs CAP_SYS_ADMIN in its user namespace.
        NotImplementedError: not known for this kind of machine.
    """
    machine = platform.machine()
    if machine not in _SECCOMP or machine not in calls:
        raise NotImplementedError(f"not on {machine}")
    return kernel.seccomp(_SECCOMP[machine], program(calls[machine], action), listener=action == NOTIFY)


def program(calls: Mapping[int, Sequence[int]], action: int) -> bytes:
    """A classic BPF program by which `action` happens to these calls, and all others pass."""
    lines = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for kind, numbers in calls.items():
        lines.append((_IF_EQUAL, 0, len(numbers) * 2 + 2, kind))
        lines.append((_LOAD, 0, 0, _NUMBER))
        for number in numbers:
            lines += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, action)]
        lines.append((_RETURN, 0, 0, _ALLOW))
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
