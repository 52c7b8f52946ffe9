"""`dib-run-parts`: the scripts of one folder, outside a build, as a phase runs them (contract C-083 to C-103).

Scripts keep the caller's standard streams; messages go to stderr. Environment files come from `environment.d` beside
the folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydib.cli.errors import report_errors
from pydib.element.hooks import SCRIPT_NAME, scripts_in
from pydib.errors import HookFailed
from pydib.events import Event, Note, Output, PhaseFinished, PhaseStarted
from pydib.host.attached import AttachedLauncher
from pydib.report.lines import PREFIX, as_bytes, lines_of
from pydib.runner.phase import PhaseRun, Tail, run_phase

NAME = "dib-run-parts"
USAGE = """\
Usage: dib-run-parts [--list] DIRECTORY

Runs the executable files of DIRECTORY, in the order of the numbers that their names begin with,
and ends with the exit code of the first that fails. Before, the files of environment.d, the
folder beside DIRECTORY, are sourced. RUN_PARTS_REGEX tells which names count.

Options:
  --list      print the paths of the files that would run, and run nothing
  -h, --help  show this and end
"""


def run() -> None:
    """The `dib-run-parts` program."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """List or run; gives the exit code: 1 for wrong usage, a failing script's own otherwise."""
    return report_errors(lambda: _main(list(arguments)), program=NAME, usage_code=1)


def _main(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    listing = arguments[:1] == ["--list"]
    folder = (arguments[1:] if listing else arguments)[:1]  # what follows is passed over, as DIB does
    if not folder or not os.path.isdir(folder[0]):
        problem = f"{folder[0]} is not a directory" if folder else "no directory was named"
        sys.stderr.write(f"{PREFIX}{problem}\n{USAGE}")
        return 1
    if listing:
        pattern = os.environ.get("RUN_PARTS_REGEX") or SCRIPT_NAME
        for name in scripts_in(Path(folder[0]), name_pattern=pattern).names:
            sys.stdout.write(f"{folder[0]}/{name}\n")
        return 0
    return _run_scripts(Path(os.path.realpath(folder[0])))


def _run_scripts(folder: Path) -> int:
    tree = folder.parent
    phase = PhaseRun(phase=folder.name, directory=folder.name, tree=tree, seen_as=str(tree), env=os.environ,
                     cwd=os.getcwd())
    tail = Tail(_to_stderr)
    try:
        with AttachedLauncher(tail) as launcher:
            run_phase(phase, launcher, tail, _to_stderr)
    except HookFailed as failure:
        if failure.script == "environment.d":
            sys.stderr.write(f"{PREFIX}{failure.script} failed: exit code {failure.exit_code}\n")
        return failure.exit_code
    return 0


def _to_stderr(event: Event) -> None:
    """Write what `event` says, as dib-run-parts prints it (C-102)."""
    match event:
        case PhaseStarted():
            return
        case Note():
            lines = [PREFIX + event.text]
        case Output():
            lines = [PREFIX + line for line in event.lines]
        case PhaseFinished():
            wrong, right = f"{PREFIX}Target: {event.phase}.d", f"{PREFIX}Target: {event.phase}"
            lines = [right if line == wrong else line for line in lines_of(event)]
        case _:
            lines = [*lines_of(event)]
    sys.stderr.buffer.write(b"".join(map(as_bytes, lines)))
    sys.stderr.buffer.flush()
