"""Break points of whole builds: a command with the caller's own streams, on the host or in the target."""

from __future__ import annotations

import os
import pty
import select
import signal
import time

import pytest

from tests.machine.conftest import Builder

pytestmark = pytest.mark.machine


@pytest.mark.contract("C-170", "C-171")
def test_a_command_in_front_of_a_phase_that_no_element_has(builder: Builder) -> None:
    copied = builder.out / "copied"
    done = builder.run("tiny-os", **{"break": "before-post-root", "break_cmd": f"cp /etc/hostname {copied}"})
    assert done.returncode == 0, done.stdout
    assert copied.exists()
    assert "At" not in done.stdout.splitlines()
    assert "Break point before-post-root" in done.stdout


@pytest.mark.contract("C-171")
def test_a_shell_in_the_target_reads_the_callers_stdin(builder: Builder) -> None:
    builder.script("own", "install.d/10-own", "#!/bin/sh\ntest -e /made-by-hand\n")
    done = builder.run("tiny-os", "own", **{"break": "before-install", "break_cmd": "false"})
    assert done.returncode == 1  # stdin is empty: bash ends at once, and nothing was made
    assert "Going on after break point before-install" in done.stdout


@pytest.mark.contract("C-172")
@pytest.mark.parametrize("outside", ["", "1"])
def test_after_an_error(builder: Builder, outside: str) -> None:
    builder.script("own", "install.d/10-fails", "#!/bin/sh\nexit 42\n")
    command = 'echo "at $PWD $(ls -d $TMP_MOUNT_PATH 2>/dev/null || echo away)"; false'
    done = builder.run("tiny-os", "own", **{"break": "after-error", "break_cmd": command,
                                            "break_outside_target": outside})
    assert done.returncode == 42
    told = next(line for line in done.stdout.splitlines() if line.startswith("at "))
    assert told.startswith(f"at {builder.out} /") if outside else told == "at / away"


def test_a_failing_command_ends_the_build(builder: Builder) -> None:
    done = builder.run("tiny-os", **{"break": "before-root", "break_cmd": "ls /no/such/file"})
    assert done.returncode == 2
    assert builder.left() == []


def test_a_misspelt_point_is_told(builder: Builder) -> None:
    done = builder.run("tiny-os", **{"break": "before-instal"})
    assert done.returncode == 0
    assert "did you mean before-install?" in done.stdout


def test_ctrl_c_works_after_a_shell_on_the_terminal(builder: Builder) -> None:
    """The shell takes the terminal for its own process group; afterwards the build must be in the foreground again."""
    builder.script("own", "extra-data.d/10-slow", "#!/bin/sh\necho now-slow\nexec sleep 60\n")
    pid, terminal = pty.fork()
    if pid == 0:
        argv = builder.argv("tiny-os", "own")
        os.execve(argv[0], argv, {**builder.environment, "break": "before-root"})
    assert "it-is-42" in read_until(terminal, "it-is-42", send=b"echo it-is-$((40+2))\n", after="Break point")
    assert "now-slow" in read_until(terminal, "now-slow", send=b"exit\n")
    time.sleep(1)
    os.write(terminal, b"\x03")
    assert "interrupted" in read_until(terminal, "interrupted")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGINT
    os.close(terminal)


def read_until(terminal: int, word: str, *, send: bytes = b"", after: str = "") -> str:
    """What the terminal shows until `word`; `send` goes to it at once, or when `after` was shown."""
    seen, deadline = "", time.monotonic() + 30
    while word not in seen and time.monotonic() < deadline:
        if send and after in seen:
            os.write(terminal, send)
            send = b""
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
    return seen
