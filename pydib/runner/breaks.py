"""Break points: a shell in front of a phase, after it, or where it failed (contract C-170 to C-172).

`break` is a comma-separated list of `before-PHASE`, `after-PHASE` and `after-error`; `break_cmd` a command instead of
bash; with `break_outside_target` the shell at an error is on the host although the phase ran in the target.

A shell on a terminal shows secrets, and says so first. What is not on a terminal is a log: with secrets it is masked,
as the output of scripts is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import EngineError, HookFailed
from pydib.events import Note, Reporter
from pydib.host.attached import AttachedLauncher, on_terminal
from pydib.host.script import Job, Launcher
from pydib.runner.phase import Keeper, PhaseRun, Tail, run_phase

AFTER_ERROR = "after-error"
SHELL = "bash"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a shell opens: its environment, its directory as it sees it, and its chroot (None on the host)."""

    env: Mapping[str, str]
    cwd: str
    root: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Breaks:
    """What a user wants to see with their own eyes.

    Args:
        points: names of break points.
        command: `break_cmd`; empty for bash.
        outside: whether the shell after an error is on the host, also when the phase ran in the target.
        secrets: names of variables whose values no log shows.
    """

    points: frozenset[str] = frozenset()
    command: str = ""
    outside: bool = False
    secrets: tuple[str, ...] = ()

    def at(self, point: str) -> bool:
        """Whether to stop at `point`: a whole name between commas (C-170)."""
        return point in self.points

    def unknown(self, phases: Iterable[str]) -> tuple[str, ...]:
        """A sentence for each wanted point that no build with these phases will reach: DIB passes over a slip."""
        known = [AFTER_ERROR, *(f"{when}-{name}" for name in phases for when in ("before", "after"))]
        return tuple(f"there is no break point {point}" + _guess(point, known)
                     for point in sorted(self.points) if point not in known)

    def argv(self, point: str, *, in_target: bool) -> list[str]:
        """What runs at `point`.

        On the host `before-PHASE` runs break_cmd, its words split at blanks, and `after-PHASE` bash; in the target
        both run bash (C-171). After an error break_cmd is shell code (C-172).
        """
        if point == AFTER_ERROR:
            return [SHELL, "-c", self.command] if self.command.strip() else [SHELL]
        if point.startswith("before-") and not in_target:
            return self.command.split() or [SHELL]
        return [SHELL]


def _guess(point: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(point, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def breaks_from(environment: Mapping[str, str], *, secrets: Iterable[str] = ()) -> Breaks:
    """The break points that the caller's environment names. Blanks around a name do not count."""
    names = (name.strip() for name in environment.get("break", "").split(","))
    return Breaks(points=frozenset(name for name in names if name), command=environment.get("break_cmd", ""),
                  outside=bool(environment.get("break_outside_target")), secrets=tuple(secrets))


def stop_at(point: str, breaks: Breaks, place: Place, report: Reporter,
            masked: Launcher | None = None) -> None:
    """Run the shell of `point` at `place` if it is wanted, and wait for its end.

    Args:
        masked: runs it when there are secrets and nobody but a log to show them to.

    Raises:
        EngineError: the shell ended with another code than 0, which asks for the end of the build; with that code.
            Not after an error: the build then ends with the error's own code anyway.
    """
    if not breaks.at(point):
        return
    argv = breaks.argv(point, in_target=place.root is not None)
    where = f"in the target {place.root}" if place.root is not None else "on the host"
    report(Note(text=f"Break point {point}: `{' '.join(argv)}` runs {where}; the build waits for its end"))
    with ExitStack() as stack:
        if masked is not None and breaks.secrets and not on_terminal():
            launcher = masked
        else:
            launcher = stack.enter_context(AttachedLauncher(lambda lines: report(Note(text=lines[0]))))
            if breaks.secrets:
                report(Note(text=f"what it shows is not masked: {', '.join(breaks.secrets)} can be seen there"))
        code = launcher.run(Job(argv=argv, env=place.env, cwd=place.cwd, root=place.root)).code
    if code and point != AFTER_ERROR:
        error = EngineError(f"`{' '.join(argv)}` at break point {point} ended with exit code {code}", where=where,
                            hint="that ends the build; a shell that ends with `exit 0` lets it go on")
        error.exit_code = code
        raise error
    report(Note(text=f"Going on after break point {point}"))


def run_between_breaks(run: PhaseRun, breaks: Breaks, host: Place, launcher: Launcher, tail: Tail, report: Reporter,
                       keeper: Keeper | None = None) -> None:
    """Run a phase with its break points: in front of it, after it, and where it fails.

    Args:
        host: where the shell after an error opens when the user wants it outside of the target.
        run, launcher, tail, report, keeper: as `run_phase` takes them.

    Raises:
        HookFailed: from `run_phase`, after the shell of `after-error`. DIB has that shell in target phases and
            block-device only.
        EngineError: from `stop_at`.
    """
    place = Place(env=run.env, cwd=run.cwd, root=run.root)
    stop_at(f"before-{run.phase}", breaks, place, report, launcher)
    try:
        run_phase(run, launcher, tail, report, keeper)
    except HookFailed as failure:
        if breaks.at(AFTER_ERROR):
            report(Note(text=failure.what))
        stop_at(AFTER_ERROR, breaks, host if breaks.outside and run.root is not None else place, report,
                launcher)
        raise
    stop_at(f"after-{run.phase}", breaks, place, report, launcher)
