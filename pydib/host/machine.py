"""What the machine under us is: memory, architecture, user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from pydib.sizes import KIB


def memory_bytes() -> int:
    """All memory of the machine, in bytes."""
    return _meminfo("MemTotal:")


def available_memory_bytes() -> int:
    """Memory that programs can get without pushing others out, in bytes."""
    return _meminfo("MemAvailable:")


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * KIB
    return 0


def user_name() -> str:
    """The name of the user who runs us, or its number when it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def is_root() -> bool:
    """Whether we may do what only root may."""
    return os.geteuid() == 0


def in_user_namespace() -> bool:
    """Whether our ids are mapped: root in here is an ordinary user outside (user_namespaces(7))."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", str(2**32 - 1)]
