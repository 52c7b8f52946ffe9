"""One phase: source environment.d, then run each script in order (contract sections 4 and 5)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydib import clock
from pydib.element.hooks import SCRIPT_NAME, environment_files, scripts_in
from pydib.errors import HookFailed
from pydib.events import (
    Note,
    Output,
    PhaseFinished,
    PhaseStarted,
    Reporter,
    ScriptCached,
    ScriptFinished,
    ScriptStarted,
)
from pydib.host.script import Ended, Job, Launcher
from pydib.masking import Mask
from pydib.runner.source import Sourced, read_answer, source_argv

TARGET_TREE = "/tmp/in_target.d"
TAIL_LINES = 15
KEPT_LINES, KEPT_CHARACTERS = 20_000, 4 << 20
"""Of a script's output, for who asks for it later."""


@dataclass(frozen=True, kw_only=True)
class PhaseRun:
    """What to run.

    Args:
        phase: its name; `directory` the folder of the hook tree with its scripts.
        tree: the hook tree as the engine sees it; `seen_as` as the scripts see it.
        env: the engine's environment for this phase.
        cwd: where scripts start, as they see it.
        root: the chroot of a target phase, None on the host.
        failure: the build's exit code when a script fails, None for the script's own (C-027).
        owner: tells which element brought a path of the hook tree.
        source: tells from which file.
        around: what surrounds each script that runs.
    """

    phase: str
    directory: str
    tree: Path
    seen_as: str
    env: Mapping[str, str]
    cwd: str
    root: Path | None = None
    failure: int | None = None
    owner: Callable[[str], str] = field(default=lambda target: "", repr=False)
    source: Callable[[str], str] = field(default=lambda target: "", repr=False)
    around: Callable[[], AbstractContextManager[None]] = field(default=nullcontext, repr=False)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Whether a script runs, or its outcome is there already; `reason` tells why it runs (empty if nobody asked)."""

    cached: bool = False
    reason: str = ""


class Keeper(Protocol):
    """Keeps what scripts did, and knows which need not run."""

    def phase_begins(self, run: PhaseRun, sourced: Sourced) -> None:
        """environment.d was sourced; the phase's scripts come."""

    def choose(self, script: str) -> Choice:
        """Whether `script`, a path in the hook tree, has to run now."""

    def must_run_again(self, script: str) -> bool:
        """`script` has run, in whatever way it ended: whether all that it did was undone, and it has to run again."""

    def has_run(self, script: str, ended: Ended, output: list[str]) -> None:
        """`script` has run, successfully, and printed `output`."""


class KeepsNothing:
    """Every script runs."""

    def phase_begins(self, run: PhaseRun, sourced: Sourced) -> None:
        """Nothing to do."""

    def choose(self, script: str) -> Choice:
        """It runs."""
        return Choice()

    def must_run_again(self, script: str) -> bool:
        """It counts as it is."""
        return False

    def has_run(self, script: str, ended: Ended, output: list[str]) -> None:
        """Nothing to do."""


class Tail:
    """The last lines of output, for the error of a failing script, and all that it printed, up to a limit."""

    def __init__(self, report: Reporter, mask: Mask | None = None) -> None:
        self._report = report
        self._mask = mask or Mask(())
        self.lines: deque[str] = deque(maxlen=TAIL_LINES)
        self.output: list[str] = []
        self._kept = 0

    def clear(self) -> None:
        """Another script begins."""
        self.lines.clear()
        self.output = []
        self._kept = 0

    def __call__(self, lines: Sequence[str]) -> None:
        """Take lines of a script's output and pass them on."""
        shown = tuple(self._mask.text(line) for line in lines
                      if not ("xtrace" in line or "set +o" in line))  # C-182
        if not shown:
            return
        self.lines.extend(shown[-TAIL_LINES:])
        for line in shown[:KEPT_LINES - len(self.output)]:
            if self._kept >= KEPT_CHARACTERS:
                break
            self.output.append(line)
            self._kept += len(line)
        self._report(Output(lines=shown))


def run_phase(run: PhaseRun, launcher: Launcher, tail: Tail, report: Reporter,
              keeper: Keeper | None = None) -> None:
    """Run all scripts of a phase. Without a folder of that name in the hook tree nothing happens at all (C-105).

    Args:
        keeper: tells which scripts need not run; without one all do.

    Raises:
        HookFailed: environment.d, or a script, ended with another code than 0.
    """
    folder = run.tree / run.directory
    if not folder.is_dir():
        return
    begun = clock.monotonic()
    pattern = run.env.get("RUN_PARTS_REGEX") or SCRIPT_NAME
    scripts = scripts_in(folder, name_pattern=pattern)
    report(PhaseStarted(phase=run.phase, directory=str(folder), scripts=len(scripts.names)))
    if scripts.ignored and run.env.get("DIB_DEBUG_TRACE", "0") != "0":
        for name in scripts.ignored:
            report(Note(text=f"Ignoring {run.directory}/{name}: its name does not match {pattern}"))
    sourced = _source(run, launcher, tail)
    times = []
    if sourced is not None:
        keeper = keeper or KeepsNothing()
        keeper.phase_begins(run, sourced)
        for name in scripts.names:
            choice = keeper.choose(f"{run.directory}/{name}")
            if choice.cached:
                report(ScriptCached(phase=run.phase, script=f"{run.directory}/{name}",
                                    element=run.owner(f"{run.directory}/{name}")))
                continue
            ended = _run_script(run, name, sourced, choice.reason, launcher, tail, report, keeper)
            times.append((name, ended.seconds))
            if ended.code == 0:
                keeper.has_run(f"{run.directory}/{name}", ended, tail.output)
    times.sort(key=lambda pair: os.fsencode(pair[0]))
    report(PhaseFinished(phase=run.phase, directory=run.directory, seconds=clock.monotonic() - begun,
                         scripts=tuple(times)))


def _source(run: PhaseRun, launcher: Launcher, tail: Tail) -> Sourced | None:
    """What environment.d leaves; None when a file ended the phase with `exit 0` (C-091)."""
    names = environment_files(run.tree)
    if not names:
        return Sourced(env=run.env, cwd=run.cwd)
    files = [f"{run.seen_as}/environment.d/{name}" for name in names]
    ended = launcher.run(Job(argv=source_argv(files), env=run.env, cwd=run.cwd, root=run.root, capture=True))
    sourced = read_answer(ended.captured)
    if sourced is not None and ended.code == 0:
        return sourced
    if ended.code == 0:
        return None
    raise HookFailed(
        phase=run.phase, script="environment.d", code=run.failure or ended.code, tail=list(tail.lines),
        path=f"{run.tree}/environment.d, one of: " + " ".join(names),
        hint="a file of environment.d used an unset variable, or its last command failed; the lines above name it")


def _run_script(run: PhaseRun, name: str, sourced: Sourced, reason: str, launcher: Launcher, tail: Tail,
                report: Reporter, keeper: Keeper) -> Ended:
    """Run one script."""
    target = f"{run.directory}/{name}"
    element = run.owner(target)
    tail.clear()
    report(ScriptStarted(phase=run.phase, script=target, element=element, reason=reason))
    job = Job(argv=[f"{run.seen_as}/{target}"], env=sourced.env, cwd=sourced.cwd, root=run.root, umask=sourced.umask)
    with run.around():
        ended = launcher.run(job)
    if keeper.must_run_again(target):
        tail.clear()
        with run.around():
            ended = launcher.run(job)
    report(ScriptFinished(
        phase=run.phase, script=target, element=element, exit_code=ended.code, seconds=ended.seconds,
        user_seconds=ended.user_seconds, system_seconds=ended.system_seconds, peak_bytes=ended.peak_bytes,
        written_bytes=ended.written_bytes, network_bytes=ended.network_bytes))
    if ended.code != 0 and sourced.errexit:
        raise HookFailed(
            phase=run.phase, script=target, code=run.failure or ended.code, element=element, tail=list(tail.lines),
            path=run.source(target) or str(run.tree / target),
            hint=f"mend what the lines above name, or the script; `break=before-{run.phase}` and `-x` show more")
    return ended
