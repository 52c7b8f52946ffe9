"""Break points: which command runs, where, with whose streams, and what its exit code means."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydib.errors import EngineError, HookFailed
from pydib.events import Event, Note
from pydib.host.script import Launcher
from pydib.runner.breaks import AFTER_ERROR, Breaks, Place, breaks_from, run_between_breaks, stop_at
from pydib.runner.phase import PhaseRun, Tail

PATH = {"PATH": os.environ["PATH"]}


class Bench:
    """The phase `install` with one script, and break points around it."""

    def __init__(self, tree: Path, launcher: Launcher, tail: Tail, events: list[Event]) -> None:
        self.tree, self.launcher, self.tail, self.events = tree, launcher, tail, events
        self.seen = tree / "seen"

    def script(self, text: str) -> None:
        path = self.tree / "install.d/10-script"
        path.parent.mkdir()
        path.write_text(text)
        path.chmod(0o755)

    def run(self, **environment: str) -> None:
        """Run the phase; `environment` is the caller's `break` and its companions."""
        env = {**PATH, "OUT": str(self.seen), "WHERE": "phase"}
        run = PhaseRun(phase="install", directory="install.d", tree=self.tree, seen_as=str(self.tree), env=env, cwd="/")
        host = Place(env={**env, "WHERE": "host"}, cwd=str(self.tree))
        run_between_breaks(run, breaks_from(environment), host, self.launcher, self.tail, self.events.append)

    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    def lines(self) -> list[str]:
        return self.seen.read_text().splitlines() if self.seen.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    events: list[Event] = []
    tail = Tail(events.append)
    with Launcher(tail) as launcher:
        yield Bench(tmp_path, launcher, tail, events)


@pytest.mark.contract("C-170")
@pytest.mark.parametrize(("value", "point", "stops"), [
    ("before-root", "before-root", True), ("a,before-root,b", "before-root", True),
    (" before-root , b", "before-root", True), ("before-root", "before-roo", False),
    ("before-rootx", "before-root", False), ("xbefore-root", "before-root", False),
    ("before.root", "before-root", False), ("", "before-root", False), ("", "", False), (",", "", False),
])
def test_names_match_whole(value: str, point: str, stops: bool) -> None:
    assert breaks_from({"break": value}).at(point) is stops


@pytest.mark.contract("C-171", "C-172")
@pytest.mark.parametrize(("point", "in_target", "command", "argv"), [
    ("before-root", False, "", ["bash"]), ("before-root", False, "cp -v  a", ["cp", "-v", "a"]),
    ("after-root", False, "cp a", ["bash"]), ("before-install", True, "cp a", ["bash"]),
    ("after-install", True, "cp a", ["bash"]), (AFTER_ERROR, True, "", ["bash"]), (AFTER_ERROR, False, " ", ["bash"]),
    (AFTER_ERROR, True, "cp $A || true", ["bash", "-c", "cp $A || true"]),
])
def test_what_runs(point: str, in_target: bool, command: str, argv: list[str]) -> None:
    assert Breaks(points=frozenset({point}), command=command).argv(point, in_target=in_target) == argv


@pytest.mark.contract("C-170", verdict="bettered", note="a misspelt break point is told")
def test_misspelt_points_are_told() -> None:
    breaks = breaks_from({"break": "before-instal,after-error,after-root,nonsense"})
    assert breaks.unknown(["root", "install"]) == (
        "there is no break point before-instal; did you mean before-install?", "there is no break point nonsense")


@pytest.mark.contract("C-170", "C-171")
def test_the_command_runs_in_front_of_the_phase(bench: Bench) -> None:
    bench.script("#!/bin/sh\necho script >> $OUT\n")
    bench.run(**{"break": "before-install", "break_cmd": f"cp /etc/hostname {bench.tree}/copied"})
    assert (bench.tree / "copied").exists()
    assert bench.lines() == ["script"]
    assert "Break point before-install" in bench.notes()[0]
    assert bench.notes()[-1] == "Going on after break point before-install"


@pytest.mark.contract("C-171")
def test_host_phases_without_a_folder_have_break_points(bench: Bench) -> None:
    bench.run(**{"break": "before-install", "break_cmd": f"touch {bench.seen}"})
    assert bench.seen.exists()


@pytest.mark.contract("C-171")
def test_a_command_that_fails_ends_the_build_with_its_code(bench: Bench) -> None:
    bench.script("#!/bin/sh\necho script >> $OUT\n")
    with pytest.raises(EngineError, match=r"break point before-install ended with exit code 2") as caught:
        bench.run(**{"break": "before-install", "break_cmd": "ls /no/such/file"})
    assert caught.value.exit_code == 2
    assert bench.lines() == []


def test_a_command_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(EngineError) as caught:
        bench.run(**{"break": "before-install", "break_cmd": "no-such-command-here"})
    assert caught.value.exit_code == 127
    assert any("cannot be run" in note for note in bench.notes())


@pytest.mark.contract("C-172")
@pytest.mark.parametrize("outside", ["", "1"])
def test_after_an_error_shell_code_runs_and_the_scripts_code_counts(bench: Bench, outside: str) -> None:
    bench.script("#!/bin/sh\nexit 42\n")
    with pytest.raises(HookFailed) as caught:
        bench.run(**{"break": "after-error", "break_cmd": 'echo "$WHERE" >> $OUT; false',
                     "break_outside_target": outside})
    assert caught.value.exit_code == 42
    assert bench.lines() == ["phase"]


def test_no_shell_after_a_phase_that_failed(bench: Bench) -> None:
    bench.script("#!/bin/sh\nexit 42\n")
    with pytest.raises(HookFailed):
        bench.run(**{"break": "after-install"})
    assert bench.notes() == []


def test_nothing_runs_unasked(bench: Bench) -> None:
    bench.script("#!/bin/sh\nexit 0\n")
    bench.run(**{"break": "before-root,after-root,after-error", "break_cmd": f"touch {bench.seen}"})
    assert bench.lines() == []
    assert bench.notes() == []


CALLER = """
import os, sys
from pydib.runner.breaks import Place, breaks_from, stop_at
place = Place(env=dict(os.environ), cwd="/tmp")
stop_at("after-root", breaks_from({"break": "after-root"}, secrets=sys.argv[1:]), place,
        lambda event: sys.argv[1:] and print(event.text, flush=True))
"""


@pytest.mark.contract("C-170", "C-171")
def test_the_shell_has_the_callers_streams_when_there_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", CALLER], input="pwd\necho aside >&2\n", text=True, capture_output=True,
                          check=True)
    assert done.stdout == "/tmp\n"
    assert done.stderr == "aside\n"


def test_the_shell_is_on_the_callers_terminal_and_secrets_are_told_to_be_there_too() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", CALLER, "TOKEN"])
    os.write(terminal, b"test -t 0 -a -t 1 -a -t 2 && echo it-is-$((40+2))\nexit\n")
    seen, deadline = b"", time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"it-is-42" in seen
    assert b"not masked: TOKEN can be seen there" in seen


@pytest.mark.machine
@pytest.mark.contract("C-171", "C-172")
def test_shells_of_target_phases_are_in_the_target_or_outside(tmp_path: Path) -> None:
    """The chroot is the host's own root, seen from a folder: bash is there, and / can be told from it."""
    root, seen = Path("/"), tmp_path / "seen"
    inside = Place(env={**PATH, "OUT": str(seen)}, cwd="/usr", root=root)
    code = Breaks(points=frozenset({AFTER_ERROR}), command='echo "$PWD" >> $OUT')
    stop_at(AFTER_ERROR, code, inside, lambda event: None)
    assert seen.read_text() == "/usr\n"


@pytest.mark.machine
@pytest.mark.contract("C-172")
@pytest.mark.parametrize(("outside", "where"), [("", "in the target"), ("1", "on the host")])
def test_break_outside_target(bench: Bench, outside: str, where: str) -> None:
    bench.script("#!/bin/sh\nexit 3\n")
    env = {**PATH, "OUT": str(bench.seen)}
    run = PhaseRun(phase="install", directory="install.d", tree=bench.tree, seen_as=str(bench.tree), env=env, cwd="/",
                   root=Path("/"))
    breaks = breaks_from({"break": "after-error", "break_cmd": "pwd >> $OUT", "break_outside_target": outside})
    host = Place(env=env, cwd=str(bench.tree))
    with pytest.raises(HookFailed):
        run_between_breaks(run, breaks, host, bench.launcher, bench.tail, bench.events.append)
    assert bench.lines() == [str(bench.tree) if outside else "/"]
    assert any(where in note for note in bench.notes())
