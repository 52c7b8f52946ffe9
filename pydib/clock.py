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


def stamp(moment: datetime.datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS.mmm`, as at the start of a log line (C-180)."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
