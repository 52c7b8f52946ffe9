"""Digests of a layer's files, taken while the script that makes them still runs: it seldom keeps all processors busy,
and after it everything waits for them.

A digest taken early counts for a file that has the same number, size and times when the script has ended. Whoever
writes to a file changes its times, but for one: a page of a mapping that is written to again before the kernel has
written it to the disk. So the kernel begins to write the file out before it is read, and notices the next writer. And
times tell two changes apart only if some time lies between them, so files that were just written to wait.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from pydib import clock
from pydib.host import kernel
from pydib.host.mount import mounts_below
from pydib.layer.content import Sums, looks_of, sum_of

FIRST_SECONDS, PAUSE_SECONDS = 3.0, 2.0
"""Most scripts have ended before anything is looked at."""
_SETTLED_NS = 1_000_000_000
_MOST_FILES = 50_000
"""What is kept in memory does not grow with the layer: some 200 bytes a file."""
_ON_DISK = ("ext4", "xfs", "f2fs")
"""Filesystems that write out on demand; one in memory has nowhere to write to."""


class EarlySums:
    """Takes digests in a thread of its own, from now until `stop`.

    Args:
        upper: the directory in which the layer comes about.
    """

    def __init__(self, upper: Path, *, first_seconds: float = FIRST_SECONDS, pause_seconds: float = PAUSE_SECONDS
                 ) -> None:
        self._upper = upper
        self._first, self._pause = first_seconds, pause_seconds
        self._known: Sums = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="early-sums", daemon=True)
        self._thread.start()

    def stop(self) -> Sums:
        """The digests so far; no more are taken."""
        self._ended.set()
        self._thread.join()
        return self._known

    def _work(self) -> None:
        if self._ended.wait(self._first) or not lies_on_disk(self._upper):
            return
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while True:
            self._look()
            if self._ended.wait(self._pause):
                return

    def _look(self) -> None:
        for folder, _, names in os.walk(self._upper):
            for name in names:
                if self._ended.is_set() or len(self._known) >= _MOST_FILES:
                    return
                with suppress(OSError):  # it is gone again
                    self._take(os.path.join(folder, name))

    def _take(self, path: str) -> None:
        info = os.lstat(path)
        looks = looks_of(info)
        if (not stat.S_ISREG(info.st_mode) or not info.st_size
                or self._known.get(info.st_ino, b"").startswith(looks)
                or clock.since_1970_ns() - max(info.st_ctime_ns, info.st_mtime_ns) < _SETTLED_NS):
            return
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            kernel.begin_writing_out(file)
            found = sum_of(file)
            after = os.fstat(file)
            if looks_of(after) == looks and after.st_ino == info.st_ino:
                self._known[info.st_ino] = looks + found
        finally:
            os.close(file)


def lies_on_disk(folder: Path) -> bool:
    """Whether the kernel writes files in `folder` out to a disk that it knows."""
    device = folder.stat().st_dev
    found = mounts_below(Path("/"), device=f"{os.major(device)}:{os.minor(device)}")
    return bool(found) and found[0].fstype in _ON_DISK
