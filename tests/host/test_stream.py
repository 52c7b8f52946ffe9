"""Programs that are watched while they run, and are gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydib.errors import EngineError, ToolMissing
from pydib.host.stream import streamed


def is_gone(pid: int, *, within_seconds: float = 5) -> bool:
    """Whether a process ends in that time; a zombie that nobody waits for has ended."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_output_comes_to_its_end_both_streams_in_order() -> None:
    with streamed("sh", "-c", "echo one; echo two >&2; echo three") as child:
        assert b"".join(child.output(timeout_seconds=10)) == b"one\ntwo\nthree\n"
        assert child.wait(timeout_seconds=5) == 0


def test_a_large_output_is_complete() -> None:
    with streamed("head", "-c", "3000000", "/dev/zero") as child:
        assert sum(len(piece) for piece in child.output(timeout_seconds=20)) == 3_000_000


def test_an_unfinished_line_comes_at_once() -> None:
    with streamed("sh", "-c", "printf 'login: '; exec sleep 60") as child:
        assert next(child.output(timeout_seconds=10)) == b"login: "


def test_waiting_ends_at_the_deadline() -> None:
    begun = time.monotonic()
    with streamed("sleep", "60") as child:
        assert list(child.output(timeout_seconds=0.2)) == []
        assert child.wait(timeout_seconds=0.05) is None
    assert time.monotonic() - begun < 10


def test_an_endless_output_ends_at_the_deadline_too() -> None:
    with streamed("yes") as child:
        assert b"y\n" in b"".join(child.output(timeout_seconds=0.2))


def test_stdin_is_empty() -> None:
    with streamed("cat") as child:
        assert list(child.output(timeout_seconds=10)) == []


def test_child_and_grandchild_are_gone_after_the_block() -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        with streamed("sh", "-c", "sleep 60 & echo $!; wait") as child:
            grandchild = int(next(child.output(timeout_seconds=10)))
            raise RuntimeError("in the middle")
    assert is_gone(child.pid)
    assert is_gone(grandchild)


def test_the_child_dies_with_us() -> None:
    ours = ("from pydib.host.stream import streamed\n"
            "with streamed('sleep', '60') as child:\n"
            "    print(child.pid, flush=True)\n"
            "    child.wait(timeout_seconds=60)\n")
    with subprocess.Popen([sys.executable, "-c", ours], stdout=subprocess.PIPE) as us:
        assert us.stdout is not None
        child = int(us.stdout.readline())
        while Path(f"/proc/{child}/comm").read_text() != "sleep\n":
            time.sleep(0.01)  # setpriv has not become sleep yet
        os.kill(us.pid, signal.SIGKILL)
    assert is_gone(child)


def test_its_exit_code() -> None:
    with streamed("sh", "-c", "exit 7") as child:
        assert child.wait(timeout_seconds=10) == 7


def test_environment_and_directory(tmp_path: Path) -> None:
    environment = {"WORD": "x y", "PATH": os.environ["PATH"]}
    with streamed("sh", "-c", "echo $WORD; pwd", env=environment, cwd=tmp_path) as child:
        assert b"".join(child.output(timeout_seconds=10)).decode().splitlines() == ["x y", str(tmp_path)]


def test_a_missing_program() -> None:
    with pytest.raises(ToolMissing, match="no-such-program is not installed"):
        with streamed("no-such-program"):
            pass


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be started: No such file"):
        with streamed("true", cwd=tmp_path / "nowhere"):
            pass
