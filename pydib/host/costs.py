"""What work cost: processor time, memory, bytes written to disk, bytes over the network (proc(5), getrusage(2))."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

KIB = 1024
_NETWORK = Path("/proc/net/dev")
_LOOPBACK = "lo"


class Written:
    """Bytes that the process `pid`, and all that it has waited for, sent to disks. A context manager.

    It is asked when the process has ended, and nobody has waited for it yet. The file is opened before that: the dead
    belong to the machine's root, so without root nobody may ask about them.
    """

    def __init__(self, pid: int) -> None:
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.open(f"/proc/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            os.close(self._file)

    def bytes(self) -> int | None:
        """So far; None where the kernel does not tell. What stays in memory, on a tmpfs for instance, does not count.
        """
        with contextlib.suppress(OSError, ValueError, KeyError):
            lines = os.pread(self._file, 4096, 0).decode("ascii").splitlines()
            return int(dict(line.split(": ") for line in lines)["write_bytes"])
        return None


def network_bytes() -> int | None:
    """Bytes received and sent so far by all interfaces of our network namespace but loopback; None where the kernel
    does not tell. A build has the host's network, so others on the machine count, too."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        rows = [line.replace(":", " ").split() for line in _NETWORK.read_text().splitlines()[2:]]
        return sum(int(row[1]) + int(row[9]) for row in rows if row[0] != _LOOPBACK)
    return None


def processor_seconds() -> tuple[float, float]:
    """What we, and those of our children that have ended, have spent in user and in system mode."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime for one in both), sum(one.ru_stime for one in both)


def peak_of(usage: resource.struct_rusage) -> int | None:
    """The most memory that the largest process had which `usage` is about; None when that is less than ours, since what
    we start counts with our size until it is another program."""
    found = usage.ru_maxrss * KIB
    return found if found > own_peak_bytes() else None


def own_peak_bytes() -> int:
    """The most memory that we had at one time."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
