"""The signals by which users and init systems ask a program to end, and the orderly end."""

from __future__ import annotations

import signal
from types import FrameType

from pydib.errors import Interrupted

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A build's outer process passes them on to the inner one."""


def interrupt(number: int, _frame: FrameType | None) -> None:
    """A handler: the first signal ends the work by `Interrupted`; later ones must not end its cleaning up."""
    for each in PASSED_ON:
        signal.signal(each, _heard_already)
    raise Interrupted(number)


def _heard_already(number: int, _frame: FrameType | None) -> None:
    """Does nothing. SIG_IGN would make Python complain about a signal that is pending already."""
