"""What a script under test cannot reach: the machine it runs on. As root, and as an ordinary user."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

SIDES = {"target": "install.d/10-try", "host": "extra-data.d/10-try"}


@pytest.fixture(params=SIDES)
def attempt(request, fake_root, element, tmp_path):
    """Run this text on the side of the target, and on the host's."""
    fake_root.like("debian-12")

    def run(text, **env):
        script = tmp_path / "shelf/e" / SIDES[request.param]
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/bash\n{text}\n")
        script.chmod(0o755)
        return element("e", shelves=[tmp_path / "shelf"]).run(SIDES[request.param], env=env)

    return run


@pytest.mark.parametrize("place", ["/etc", "/root", "/usr", "/usr/local/bin", "/var/lib", "/opt", "/boot", "/srv"])
def test_what_is_written_never_reaches_the_machine(attempt, place):
    name = f"pydib-was-here-{os.getpid()}"
    attempt(f"mkdir -p {place}; echo x > {place}/{name}; sudo touch {place}/{name}")
    assert not os.path.exists(f"{place}/{name}")


def test_what_is_in_home_directories_is_not_there(attempt):
    marker = Path.home() / f".pydib-marker-{os.getpid()}"
    marker.write_text("private\n")
    try:
        run = attempt(f"cat {marker} 2>/dev/null; "
                      "find /root /home -type f -not -path '*/.venv/*' -not -path '*/pydib/*'; true")
    finally:
        marker.unlink()
    assert run.output == ""


def test_the_machines_own_etc_is_not_shown(attempt):
    run = attempt("cat /etc/machine-id /etc/ssh/* /etc/hostname /etc/shadow 2>/dev/null; true")
    for file in ("/etc/machine-id", "/etc/hostname", "/etc/shadow"):
        if os.access(file, os.R_OK) and Path(file).read_text().strip():
            assert Path(file).read_text() not in run.output


def test_a_checkout_and_the_test_itself_are_not_shown(attempt):
    run = attempt(f"cat {__file__} 2>&1; ls {Path(__file__).parent} 2>&1; true")
    assert "test_walls" not in run.output.replace(__file__, "")


def test_there_is_no_network(attempt):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = attempt(f"cat /proc/net/route | wc -l; : </dev/tcp/127.0.0.1/{port} && echo connected; "
                      "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 2)' 2>&1 | tail -n 1")
    assert "connected" not in run.output.splitlines()
    assert run.output.startswith("0\n")
    assert "Network is unreachable" in run.output


def test_other_processes_are_neither_seen_nor_ended(attempt):
    run = attempt(f"ls -d /proc/[0-9]* | wc -l; kill -9 {os.getpid()} || echo 'not there'; kill -9 -1; echo here")
    assert int(run.output.split()[0]) < 10
    assert "not there" in run.output


def test_the_kernels_settings_cannot_be_changed(attempt):
    before = Path("/proc/sys/kernel/panic").read_text()
    run = attempt("try() { echo 99 > /proc/sys/kernel/panic; }; try; mount -o remount,rw /proc/sys; "
                  "mount -o remount,bind,rw /proc/sys; umount /proc/sys; try; mount -t proc proc /proc; try; true")
    assert Path("/proc/sys/kernel/panic").read_text() == before
    assert run.output.count("Read-only file system") == 3


def test_no_device_can_be_made_or_found(attempt):
    run = attempt("mkdir -p /tmp/d; mknod /tmp/d/disk b 8 0 2>&1; mknod /tmp/d/mem c 1 1 2>&1; ls /dev")
    assert run.output.count("Operation not permitted") == 2
    assert set(run.output.split("\n")[2:]) <= {"fd", "full", "null", "ptmx", "pts", "pydib-testkit", "random", "shm",
                                               "stderr", "stdin", "stdout", "tty", "urandom", "zero", ""}


def test_mounts_and_host_name_end_with_the_script(attempt):
    name = socket.gethostname()
    attempt("mkdir -p /tmp/m; mount -t tmpfs tmpfs /tmp/m; mount --bind / /tmp; umount -l /proc; "
            "python3 -c 'import socket; socket.sethostname(\"pydib-was-here\")'; true")
    assert "pydib-testkit" not in Path("/proc/self/mounts").read_text()
    assert socket.gethostname() == name


def test_daemons_end_with_the_script(attempt, fake_root):
    run = attempt("(while :; do sleep 0.1; date +%N > /tmp/alive; done) & sleep 0.3; echo done")
    assert run.ok and run.seconds < 5


def test_the_way_out_of_a_chroot_is_closed(attempt):
    run = attempt("python3 - <<'END'\n"
                  "import os\n"
                  "os.makedirs('/tmp/x', exist_ok=True); top = os.open('/', os.O_RDONLY); os.chroot('/tmp/x')\n"
                  "os.fchdir(top)\n"
                  "for _ in range(50): os.chdir('..')\n"
                  f"os.chroot('.'); print(os.path.exists({__file__!r}), os.path.exists('/usr'))\nEND")
    assert run.output == "False True\n"
