"""The one door to time, so that tests can stop the clock."""

from __future__ import annotations

import datetime
import time


def now() -> datetime.datetime:
    """The time of day, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def monotonic() -> float:
    """Seconds on a clock that is never set back."""
    return time.monotonic()


def since_1970_ns() -> int:
    """Nanoseconds since 1970."""
    return time.time_ns()


def since_1970() -> float:
    """Seconds since 1970."""
    return time.time()


def after(moment_ns: int) -> int:
    """A time on the kernel's clock for files that no file has which was written at `moment_ns` or before.

    In nanoseconds since 1970. That clock goes in steps of some milliseconds, so this may wait for the next step.
    """
    for _ in range(100):
        now = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
        if now > moment_ns:
            break
        time.sleep(0.0005)
    return now


_CLOCK_REALTIME_COARSE = 5
"""clock_gettime(2); Python has no name for it."""


def stamp(moment: datetime.datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS.mmm`, as at the start of a log line (C-180)."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
