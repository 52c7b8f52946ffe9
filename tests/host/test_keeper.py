"""The process that runs scripts under test: what it leaves, and what it says where it cannot run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydib.host.keeper import IdMap, Keeper, KeeperRefused, Mount

STARTED = """
import sys, time
from pathlib import Path
from pydib.host.keeper import Keeper
keeper = Keeper(Path(sys.argv[1]))
print(keeper._process.pid, flush=True)
time.sleep(60)
"""


def wait_until(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "keeper").mkdir()
    return tmp_path / "keeper"


@pytest.fixture
def keeper(place: Path):
    try:
        running = Keeper(place)
    except KeeperRefused as error:
        pytest.skip(error.what)
    yield running
    running.close()


def test_nothing_is_left_when_the_tests_are_killed(place):
    tests = subprocess.Popen([sys.executable, "-c", STARTED, str(place)], stdout=subprocess.PIPE, text=True)
    assert tests.stdout is not None
    line = tests.stdout.readline()
    if not line:
        pytest.skip("this machine makes no namespaces")
    (place / "left").write_text("x")
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    tests.stdout.close()
    assert wait_until(lambda: not place.exists())
    assert wait_until(lambda: not is_alive(int(line)))
    assert str(place) not in Path("/proc/self/mountinfo").read_text()


def test_a_mount_that_the_kernel_refuses_is_told(keeper, place):
    root = place / "root"
    root.mkdir()
    with pytest.raises(KeeperRefused, match=r"the script's root cannot be made here: .*mount bind .*root/x"):
        keeper.run(root=root, mounts=[Mount(kind="bind", source="/nowhere", target=str(root / "x"))], procs=[],
                   argv=["/bin/true"], env={}, cwd="/", seconds=5)


def test_a_program_that_does_not_exist_is_told(keeper, place):
    root = place / "root"
    root.mkdir()
    with pytest.raises(KeeperRefused, match="/bin/true"):
        keeper.run(root=root, mounts=[], procs=[], argv=["/bin/true"], env={}, cwd="/", seconds=5)


def test_the_keeper_lives_on_after_a_failure(keeper, place):
    with pytest.raises(OSError, match="No such file"):
        keeper.chown(place / "nothing", 0, 0)
    (place / "file").write_text("x")
    assert keeper.read(place / "file") == b"x"


def test_numbers_of_users_are_those_inside():
    ids = IdMap(((0, 1000, 1), (1, 100000, 65536)))
    assert [ids.inside(number) for number in (1000, 100000, 100032, 5)] == [0, 1, 33, 65534]
    assert ids.text() == "0 1000 1\n1 100000 65536\n"


def test_everybody_may_be_somebody_else_where_there_are_ids(keeper, place):
    (place / "file").write_text("x")
    if not keeper.maps_others:
        pytest.skip("this user has no subordinate ids")
    keeper.chown(place / "file", 33, 44)
    found = keeper.listing(place, contents=False, skip=frozenset({b"/dev", b"/host"}))
    assert found[b"/file"][1:3] == (33, 44)
    assert os.stat(place / "file").st_uid == (33 if os.geteuid() == 0 else keeper.users.ranges[1][1] + 32)
