"""Limits of a build's processes: how many there may be at a time, so that one that starts processes without end ends
itself; and how deep ours may look into a tree."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from pydib.host.machine import in_user_namespace

PID_MAX = Path("/proc/sys/kernel/pid_max")
DEEPEST = 2048
"""A path has 4096 bytes (PATH_MAX), so no name leads through more folders."""
PER_NAMESPACE_SINCE = (6, 14)
"""The first kernel in which each PID namespace has a pid_max of its own. In an older one it is the whole machine's."""


def allow_deep_trees() -> None:
    """Python gives up at a thousand calls within one another, as os.walk needs them for a thousand folders."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 2 * DEEPEST + 1000))


def limit_processes(most: int) -> bool:
    """Let this PID namespace, whose first process we are, have `most` processes; whether there is a way.

    In a user namespace the kernel counts them (RLIMIT_NPROC); root's processes are limited by the numbers that there
    are to give (pid_max), where the namespace has its own.
    """
    if in_user_namespace():
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (allowed, hard))
        return True
    if kernel_release() < PER_NAMESPACE_SINCE:
        return False
    try:
        PID_MAX.write_text(str(most))
    except OSError:
        return False
    return True


def kernel_release() -> tuple[int, int]:
    """Version and patch level of the running kernel."""
    first, second = os.uname().release.split(".")[:2]
    return int(first), int("".join(letter for letter in second if letter.isdecimal()))
