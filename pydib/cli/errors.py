"""Errors become a message and an exit code here, and only here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import click

from pydib.errors import PydibError
from pydib.host.limits import allow_deep_trees
from pydib.host.signals import interrupt

USAGE_ERROR = 2


def report_errors(call: Callable[[], object], *, program: str = "pydib", usage_code: int = USAGE_ERROR) -> int:
    """Run `call`; gives the exit code, and tells the user about errors on stderr.

    `call` may give back an exit code itself; anything else than a number counts as success. SIGTERM and SIGHUP end it
    as Ctrl-C does: temporary folders go, and programs that run for it end. (A build sets its own handlers.)
    """
    allow_deep_trees()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup(1) has SIGHUP ignored
            signal.signal(number, interrupt)
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
