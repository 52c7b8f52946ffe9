"""`pydib boot`, as a user calls it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pydib.host.command import find_tool
from tests.boot_sector import boot_disk

pytestmark = pytest.mark.skipif(find_tool("qemu-system-x86_64") is None or find_tool("qemu-img") is None,
                                reason="QEMU is not installed")
PYDIB = (sys.executable, "-c", "from pydib.cli.main import run; run()")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An image that asks for a login as soon as it runs."""
    path = tmp_path / "tiny.raw"
    path.write_bytes(boot_disk("hello\r\ntiny login: "))
    return path


def pydib(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYDIB, *map(str, arguments)], text=True, capture_output=True, check=False, timeout=120)


def test_a_login_prompt_is_exit_code_0_and_the_console_is_shown(disk: Path) -> None:
    done = pydib("boot", disk)
    assert (done.returncode, done.stderr) == (0, "")
    *_, hello, prompt, verdict = done.stdout.splitlines()
    assert (hello, prompt) == ("hello", "tiny login:")
    assert verdict.startswith(f"{disk}: reached a login prompt after ")


def test_quiet_shows_only_the_verdict(disk: Path) -> None:
    done = pydib("boot", "--quiet", "--expect", "hello", disk)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [line for line in done.stdout.splitlines() if "reached `hello` after" in line]


def test_a_text_that_never_comes_is_exit_code_1_with_the_last_lines(disk: Path) -> None:
    done = pydib("boot", "--quiet", "--timeout", "3", "--expect", "mysqld ready", disk)
    assert (done.returncode, done.stdout) == (1, "")
    assert "did not reach `mysqld ready`: it did not come within 3 s" in done.stderr
    assert "    tiny login:\n" in done.stderr
    assert f"in: {disk}" in done.stderr
    assert "--timeout" in done.stderr


def test_no_image_is_one_message(tmp_path: Path) -> None:
    done = pydib("boot", tmp_path / "nothing.qcow2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no such disk image" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [
    pytest.param((), id="no-image"),
    pytest.param(("x.raw", "--firmware", "coreboot"), id="unknown-firmware"),
    pytest.param(("x.raw", "--memory", "lots"), id="no-number"),
    pytest.param(("x.raw", "--timeout", "-1"), id="negative"),
    pytest.param(("x.raw", "--turbo"), id="unknown-option"),
])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert pydib("boot", *arguments).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_boot_leaves_no_machine_behind(disk: Path, number: signal.Signals) -> None:
    temporary = disk.parent / "tmp"
    temporary.mkdir()
    volume = [] if number == signal.SIGKILL else ["--volume", "1MiB"]  # its file is there until we end in order
    argv = [*PYDIB, "boot", "--expect", "never", *volume, str(disk)]
    with subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "TMPDIR": str(temporary)}) as us:
        assert us.stdout is not None
        while us.stdout.readline() != "hello\n":
            pass
        machine = [int(pid) for pid in Path(f"/proc/{us.pid}/task/{us.pid}/children").read_text().split()]
        assert len(machine) == 1
        descriptor = os.pidfd_open(machine[0])
        us.send_signal(number)
        us.wait(20)
    assert ended(descriptor)
    assert sorted(path.name for path in disk.parent.iterdir()) == ["tiny.raw", "tmp"]
    assert list(temporary.iterdir()) == []


def ended(descriptor: int) -> bool:
    """Whether the process behind a pidfd ends within five seconds."""
    import select

    try:
        return bool(select.select([descriptor], [], [], 5)[0])
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("arguments", "problem"), [
    pytest.param(("--forward", "6379"), "'6379' are not two ports", id="one-port"),
    pytest.param(("--forward", "1:70000"), "are not two ports", id="no-port"),
    pytest.param(("--inject", "/etc/x"), "does not say which file goes where", id="no-file"),
    pytest.param(("--inject", "etc/x=/etc/hostname"), "no place for a file", id="relative"),
    pytest.param(("--inject", "/etc/x=/no/such"), "/no/such cannot be read", id="missing-file"),
    pytest.param(("--user-data", "/no/such"), "/no/such cannot be read", id="missing-user-data"),
    pytest.param(("--network-data", "/etc/hostname"), "this is no JSON", id="no-json"),
    pytest.param(("--volume", "big"), "'big' is not a size", id="no-size"),
])
def test_a_cloud_that_cannot_be_is_one_message(disk: Path, arguments: tuple[str, ...], problem: str) -> None:
    done = pydib("boot", *arguments, disk)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr and "Traceback" not in done.stderr


def test_the_machine_gets_its_drives_and_ports(disk: Path, tmp_path: Path) -> None:
    """QEMU itself checks them: it would not start with a drive or a port that it cannot have."""
    (tmp_path / "info").write_text("x\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = pydib("boot", "--quiet", "--inject", f"/etc/info={tmp_path / 'info'}", "--volume", "64MiB", "--volume",
                 "64MiB", "--forward", f"{port}:22", disk)
    assert done.returncode == 0, done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = pydib("boot", "--quiet", "--forward", f"{taken.getsockname()[1]}:22", disk)
    assert done.returncode == 1 and "QEMU ended with exit code 1" in done.stderr
    assert "Could not set up host forwarding rule" in done.stderr
