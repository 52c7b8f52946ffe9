"""The inner process of a build: reads its order from a descriptor and carries it out. Started by `run_build` only."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from contextlib import ExitStack
from types import FrameType

from pydib.build import Order, carry_out, failure_of
from pydib.errors import Interrupted, PydibError
from pydib.events import BuildFailed, Reporter
from pydib.report.reporters import reporter


def main() -> int:
    """Carry out the order in the descriptor that the first argument names; gives the exit code."""
    with os.fdopen(int(sys.argv[1]), "rb") as stream:
        order: Order = pickle.load(stream)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with ExitStack() as stack:
        try:
            report = stack.enter_context(reporter(order.wishes))
        except PydibError as problem:
            sys.stderr.write(f"pydib: {problem}\n")
            return problem.exit_code
        return _carried_out(order, report)


def _carried_out(order: Order, report: Reporter) -> int:
    try:
        carry_out(order, report)
    except BaseException as error:
        problem = failure_of(error)
        report(BuildFailed(message=str(problem), exit_code=problem.exit_code))
        if order.wishes.style != "lines":
            sys.stderr.write(f"pydib: {problem}\n")
        return problem.exit_code
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """The first signal ends the build; later ones must not end its cleaning up."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _heard_already)
    raise Interrupted(number)


def _heard_already(number: int, _frame: FrameType | None) -> None:
    """Does nothing. SIG_IGN would make Python complain about a signal that is pending already."""


if __name__ == "__main__":
    sys.exit(main())
