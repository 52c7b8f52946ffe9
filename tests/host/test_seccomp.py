"""Filters of system calls, and programs that do not wait for the disk by one."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from collections.abc import Sequence

import pytest

from pydib.host import renames, seccomp, unsynced

_ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="without no_new_privs a seccomp filter needs root")


def _fate(program: bytes, kind: int, number: int) -> int:
    """What the program decides: it is carried out here as the kernel does (linux/filter.h)."""
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    data, at, value = {4: kind, 0: number}, 0, 0
    while True:
        code, if_so, if_not, operand = lines[at]
        at += 1
        if code == 0x20:
            value = data[operand]
        elif code == 0x15:
            at += if_so if value == operand else if_not
        else:
            assert code == 0x06
            return operand


@pytest.mark.parametrize("calls", [renames.CALLS, unsynced.CALLS], ids=["renames", "unsynced"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_program_meets_these_calls_and_no_others(calls: seccomp.Calls, machine: str) -> None:
    program = seccomp.program(calls[machine], 7)
    for kind, numbers in calls[machine].items():
        met = [number for number in (*range(500), *(seccomp.X32 | one for one in range(500)))
               if _fate(program, kind, number) == 7]
        assert met == sorted(numbers)
    assert all(_fate(program, 0xC0000015, number) == 0x7FFF0000 for number in range(500))


PROGRAM = """
import subprocess, sys
from pydib.host.unsynced import Unsynced
unsynced = Unsynced()
assert unsynced.begin() == ""
unsynced(lambda: subprocess.run(sys.argv[1:], check=True))
subprocess.run(sys.argv[1:], check=True)
"""
IN_VAIN = """
import ctypes, sys
syscall = ctypes.CDLL(None, use_errno=True).syscall
print(*(syscall(int(number), 77, 1, 7, 0) for number in sys.argv[1:]))
"""


@pytest.mark.machine
@_ROOT_ONLY
@pytest.mark.skipif(platform.machine() not in unsynced.CALLS,
                    reason=f"sync calls are not known on {platform.machine()}")
def test_what_is_started_there_does_not_wait_and_all_else_does() -> None:
    """The kernel never hears of the call: a descriptor that nobody has is as good as any."""
    numbers = next(iter(unsynced.CALLS[platform.machine()].values()))[:6]
    in_there, here = _run([sys.executable, "-c", IN_VAIN, *map(str, numbers)])
    assert in_there == [0] * 6
    assert here == [0 if name == "sync" else -1
                    for name in ("fsync", "fdatasync", "sync", "msync", "sync_file_range", "syncfs")]


def _run(argv: Sequence[str]) -> list[list[int]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
