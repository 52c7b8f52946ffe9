"""Errors become a message and an exit code here, and only here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import click

from pydib.errors import Interrupted, PydibError
from pydib.host.limits import allow_deep_trees

USAGE_ERROR = 2
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def report_errors(call: Callable[[], object], *, program: str = "pydib", usage_code: int = USAGE_ERROR) -> int:
    """Run `call`; gives the exit code, and tells the user about errors on stderr.

    `call` may give back an exit code itself; anything else than a number counts as success. SIGTERM and SIGHUP end it
    as Ctrl-C does: temporary folders go, and programs that run for it end. (A build sets its own handlers.)
    """
    allow_deep_trees()
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup(1) has SIGHUP ignored
            signal.signal(number, _interrupt)
    try:
        result = call()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return usage_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write(f"{program}: interrupted\n")
        return 130
    except PydibError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; python would complain at exit
        return 0
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """The first signal ends the command; later ones must not end its cleaning up."""
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)
