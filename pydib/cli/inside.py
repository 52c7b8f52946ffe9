"""The inner process of a build: reads its order from a descriptor and carries it out. Started by `run_build` only."""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import ExitStack

from pydib.build import Order, carry_out, failure_of
from pydib.errors import PydibError, ShellEnded
from pydib.events import BuildFailed, Note, Reporter
from pydib.host import room
from pydib.host.limits import allow_deep_trees, limit_processes
from pydib.host.namespace import listen, nested
from pydib.host.signals import interrupt
from pydib.masking import Mask
from pydib.report.reporters import reporter


def main() -> int:
    """Carry out the order in the descriptor that the first argument names; gives the exit code.

    The second argument is a descriptor, too: a byte in there tells that we are alive.
    """
    os.write(int(sys.argv[2]), b"x")
    os.close(int(sys.argv[2]))
    with os.fdopen(int(sys.argv[1]), "rb") as stream:
        order: Order = pickle.load(stream)
    with ExitStack() as stack:
        try:
            report = stack.enter_context(reporter(order.wishes))
        except PydibError as problem:
            sys.stderr.write(f"pydib: {problem}\n")
            return problem.exit_code
        return _carried_out(order, report)


def _carried_out(order: Order, report: Reporter) -> int:
    try:
        room.enter(order.room)
        if order.namespaces.user:
            return nested(lambda: _worked_off(order, report), lambda problem: _failed(problem, order, report))
    except PydibError as problem:
        return _failed(problem, order, report)
    return _worked_off(order, report)


def _worked_off(order: Order, report: Reporter) -> int:
    try:
        listen(interrupt)
        allow_deep_trees()
        limit_processes(order.prepared.recipe.most_processes)
        carry_out(order, report)
    except ShellEnded as end:
        report(Note(text=str(end)))
        return end.exit_code
    except BaseException as error:
        return _failed(failure_of(error), order, report)
    return 0


def _failed(problem: PydibError, order: Order, report: Reporter) -> int:
    report(BuildFailed(message=str(problem), exit_code=problem.exit_code))
    if order.wishes.style != "lines":
        sys.stderr.write(f"pydib: {Mask(order.wishes.hidden).text(str(problem))}\n")
    return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
