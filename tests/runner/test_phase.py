"""One phase, run for real on this host: what scripts see and what their exit codes mean (contract section 4)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydib.errors import HookFailed
from pydib.events import Event, Note, Output, PhaseFinished, ScriptFinished, ScriptStarted
from pydib.host.script import Launcher
from pydib.runner.phase import PhaseRun, Tail, run_phase


class Bench:
    """A hook tree in a temporary directory, and a way to run a phase of it."""

    def __init__(self, tree: Path, launcher: Launcher, tail: Tail, events: list[Event]) -> None:
        self.tree, self.launcher, self.tail, self.events = tree, launcher, tail, events
        self.env = {"PATH": os.environ["PATH"], "HOME": "/root"}

    def script(self, name: str, text: str, *, phase: str = "install", mode: int = 0o755) -> None:
        path = self.tree / f"{phase}.d" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def environment(self, name: str, text: str) -> None:
        (self.tree / "environment.d").mkdir(exist_ok=True)
        (self.tree / "environment.d" / name).write_text(text)

    def run(self, **more: object) -> list[str]:
        """Run the phase `install`; gives the output's lines, less the trace."""
        fields: dict[str, object] = {
            "phase": "install", "directory": "install.d", "tree": self.tree, "seen_as": str(self.tree),
            "env": self.env, "cwd": "/", **more}
        self.events.clear()
        run_phase(PhaseRun(**fields), self.launcher, self.tail, self.events.append)  # type: ignore[arg-type]
        return self.output()

    def output(self) -> list[str]:
        return [line for event in self.events if isinstance(event, Output) for line in event.lines
                if not line.startswith(("+", "dib-run-parts"))]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    events: list[Event] = []
    tail = Tail(events.append)
    with Launcher(tail) as launcher:
        yield Bench(tmp_path, launcher, tail, events)


def test_scripts_run_in_order_and_tell_events(bench: Bench) -> None:
    bench.script("10-b", "#!/bin/sh\necho second\n")
    bench.script("9-a", "#!/bin/sh\necho first\n")
    assert bench.run() == ["first", "second"]
    started = [event.script for event in bench.events if isinstance(event, ScriptStarted)]
    assert started == ["install.d/9-a", "install.d/10-b"]
    finished = bench.events[-1]
    assert isinstance(finished, PhaseFinished)
    assert [name for name, _ in finished.scripts] == ["10-b", "9-a"]  # the table goes by bytes


def test_a_phase_without_folder_does_nothing_at_all(bench: Bench) -> None:
    bench.environment("10-fails", "exit 9\n")
    assert bench.run() == []
    assert bench.events == []


@pytest.mark.parametrize(("text", "code"), [
    ("#!/bin/sh\nexit 42\n", 42), ("#!/bin/sh\nkill -TERM $$\n", 143), ("#!/bin/sh\nkill -KILL $$\n", 137),
    ("#!/no/such/interpreter\n", 127), ("#!/bin/sh\r\nexit 0\n", 127), ("#!/bin/bash\nset -e\nfalse\n", 1),
])
def test_the_exit_code_of_the_script_is_the_exit_code_of_the_build(bench: Bench, text: str, code: int) -> None:
    bench.script("10-fails", text)
    bench.script("20-never", "#!/bin/sh\necho never\n")
    with pytest.raises(HookFailed) as caught:
        bench.run()
    assert caught.value.exit_code == code
    assert "never" not in bench.output()


def test_the_error_names_script_element_and_last_lines(bench: Bench) -> None:
    bench.script("10-fails", "#!/bin/sh\necho something about redis\nexit 3\n")
    with pytest.raises(HookFailed) as caught:
        bench.run(owner=lambda target: "redis", source=lambda target: "/shelf/redis/" + target)
    text = str(caught.value)
    assert "install.d/10-fails of element redis failed with exit code 3 in phase install" in text
    assert "something about redis" in text
    assert "/shelf/redis/install.d/10-fails" in text


def test_the_block_device_phase_has_one_exit_code_for_all_failures(bench: Bench) -> None:
    bench.script("10-fails", "#!/bin/sh\nexit 42\n")
    with pytest.raises(HookFailed) as caught:
        bench.run(failure=1)
    assert caught.value.exit_code == 1


def test_a_script_without_first_line_is_bash(bench: Bench) -> None:
    bench.script("10-plain", "a=(x y)\n[[ ${a[1]} == y ]] && echo bash\n")
    bench.script("20-empty", "")
    assert bench.run() == ["bash"]


def test_arguments_name_and_directory_of_a_script(bench: Bench) -> None:
    bench.script("10-self", '#!/bin/sh\necho "$# $0 $(pwd)"\n')
    assert bench.run() == [f"0 {bench.tree}/install.d/10-self /"]


def test_environment_reaches_scripts(bench: Bench) -> None:
    bench.environment("10-a.bash", "export A=$'two\\nlines' B='a=b \"quoted\"'\nC=unexported\n")
    bench.environment("20-b", 'export D="$C-seen"\nexport A+=" more"\nexport EMPTY=\nexport NEVER_SET\n')
    bench.environment("30-f", "say() { echo \"said $1\"; }\nexport -f say\n")
    bench.script("10-show", '#!/bin/bash\necho "$A|$B|${C-unset}|$D|${EMPTY-unset}|${NEVER_SET-unset}"\nsay it\n')
    assert bench.run()[-3:] == ["two", 'lines more|a=b "quoted"|unset|unexported-seen||unset', "said it"]


def test_environment_is_sourced_anew_for_each_phase(bench: Bench) -> None:
    bench.env["FLAGS"] = "base"
    bench.environment("10-a", 'export FLAGS+=" x"\n')
    bench.script("10-show", '#!/bin/sh\necho "$FLAGS"\n')
    assert bench.run() == bench.run() == ["base x"]


@pytest.mark.parametrize(("text", "code"), [
    ("echo $UNSET_VARIABLE\n", 1), ('[[ -n "${X:-}" ]] && export Y=1\n', 1), (": ${MUST:?is missing}\n", 1),
    ("exit 7\n", 7), ("false\n", 1), ("syntax (\n", None),
])
def test_a_failing_environment_file_ends_the_build(bench: Bench, text: str, code: int | None) -> None:
    bench.environment("10-bad", text)
    bench.script("10-never", "#!/bin/sh\necho never\n")
    with pytest.raises(HookFailed) as caught:
        bench.run()
    assert code is None or caught.value.exit_code == code
    assert "never" not in bench.output()


def test_exit_0_in_an_environment_file_ends_the_phase_with_success(bench: Bench) -> None:
    bench.environment("10-enough", "exit 0\n")
    bench.script("10-never", "#!/bin/sh\necho never\n")
    assert bench.run() == []


def test_return_ends_that_file_only(bench: Bench) -> None:
    bench.environment("10-a", "export A=1\nreturn 0\nexport A=2\n")
    bench.environment("20-b", "export B=3\n")
    bench.script("10-show", '#!/bin/sh\necho "$A$B"\n')
    assert bench.run() == ["13"]


def test_set_plus_e_and_cd_leak_to_the_scripts_as_in_dib(bench: Bench) -> None:
    bench.environment("10-a", "set +e\ncd /tmp\n")
    bench.script("10-fails", "#!/bin/sh\npwd\nexit 5\n")
    bench.script("20-goes-on", "#!/bin/sh\necho still here\n")
    assert bench.run() == ["/tmp", "still here"]


def test_set_x_does_not_leak(bench: Bench) -> None:
    bench.environment("10-a", "set -x\n")
    bench.environment("20-b", "export TRACED=$-\n")
    bench.script("10-show", '#!/bin/bash\necho "$-"\n')
    assert "x" not in bench.run()[-1]


@pytest.mark.contract("C-182")
def test_output_is_kept_byte_for_byte_even_without_a_last_line_end(bench: Bench) -> None:
    bench.script("10-bytes", "#!/bin/bash\nprintf 'a\\xff\\rb\\nlast'\n")
    assert [os.fsencode(line) for line in bench.run()] == [b"a\xff\rb", b"last"]


@pytest.mark.contract("C-290", verdict="bettered", note="the log is read to its end")
def test_a_flood_of_output_arrives_whole(bench: Bench) -> None:
    bench.script("10-flood", "#!/bin/bash\nyes 0123456789 | head -n 300000\n")
    lines = bench.run()
    assert len(lines) == 300000
    assert set(lines) == {"0123456789"}


@pytest.mark.contract("C-101", "C-282")
def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(bench: Bench) -> None:
    bench.script("10-daemon", "#!/bin/bash\nsleep 30 &\necho $!\n")
    begun = time.monotonic()
    pid = int(bench.run()[0])
    os.kill(pid, 9)
    assert time.monotonic() - begun < 5


@pytest.mark.contract("C-184", note="scripts trace themselves; the engine tells its steps in the log")
def test_ignored_names_are_told_only_when_tracing(bench: Bench) -> None:
    bench.script("10-a.sh", "#!/bin/sh\necho never\n")
    bench.run()
    assert not [event for event in bench.events if isinstance(event, Note)]
    bench.env["DIB_DEBUG_TRACE"] = "1"
    bench.run()
    assert "install.d/10-a.sh" in next(event.text for event in bench.events if isinstance(event, Note))


def test_a_script_may_add_a_script_to_a_later_phase_and_an_environment_file(bench: Bench) -> None:
    bench.script("10-adds", f"#!/bin/sh\nmkdir -p {bench.tree}/environment.d {bench.tree}/later.d\n"
                            f"echo 'export NEW=yes' > {bench.tree}/environment.d/50-new\n"
                            f"printf '#!/bin/sh\\necho $NEW\\n' > {bench.tree}/later.d/10-new\n"
                            f"chmod +x {bench.tree}/later.d/10-new\n")
    bench.run()
    assert bench.run(phase="later", directory="later.d") == ["yes"]


def test_scripts_get_default_signal_actions_and_no_stray_descriptors(bench: Bench) -> None:
    bench.script("10-look", "#!/bin/bash\ngrep SigIgn /proc/self/status\nls /proc/self/fd | tr '\\n' ' '; echo\n")
    ignored, descriptors = bench.run()
    assert int(ignored.split()[1], 16) & (1 << 12) == 0  # SIGPIPE is 13
    assert descriptors.split() == ["0", "1", "2", "3"]  # 3 is ls reading the folder


def test_seconds_are_measured(bench: Bench) -> None:
    bench.script("10-slow", "#!/bin/sh\nsleep 0.2\n")
    bench.run()
    finished = next(event for event in bench.events if isinstance(event, ScriptFinished))
    assert 0.2 <= finished.seconds < 5
