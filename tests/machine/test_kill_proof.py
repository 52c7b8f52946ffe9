"""Builds that are killed at random moments, in every way there is: what is left when the next build has begun."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pydib.host.leftovers import loops_in_use
from tests.conftest import figures
from tests.machine.conftest import Builder, UserBuilder
from tests.ordinary_user import User

pytestmark = pytest.mark.machine

BUILDS = int(os.environ.get("PYDIB_KILLS") or (150 if os.environ.get("PYDIB_BOOT_ALL") else 10))
"""How many builds each of root and the ordinary user begins."""


def _child(build: subprocess.Popen[str]) -> int:
    """The process between the outer and the inner one, once it is there; the outer one before."""
    outer = _descends_to_pydib(build.pid)
    found = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    return int(found[0]) if found else outer


def _descends_to_pydib(pid: int) -> int:
    """runuser is not pydib: go down to the first Python."""
    while True:
        if Path(f"/proc/{pid}/comm").read_text().startswith("python"):
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return pid
        pid = int(children[0])


def kill_the_parent(build: subprocess.Popen[str]) -> None:
    os.kill(_descends_to_pydib(build.pid), signal.SIGKILL)


def kill_the_child(build: subprocess.Popen[str]) -> None:
    os.kill(_child(build), signal.SIGKILL)


def kill_the_group(build: subprocess.Popen[str]) -> None:
    os.killpg(build.pid, signal.SIGKILL)


def terminate(build: subprocess.Popen[str]) -> None:
    os.kill(_descends_to_pydib(build.pid), signal.SIGTERM)


def interrupt_twice(build: subprocess.Popen[str]) -> None:
    """As with Ctrl-C at a terminal: the whole group gets it; the second one comes while the first is heeded."""
    os.killpg(build.pid, signal.SIGINT)
    time.sleep(random.uniform(0, 0.1))
    os.killpg(build.pid, signal.SIGINT)


WAYS: tuple[Callable[[subprocess.Popen[str]], None], ...] = (
    kill_the_parent, kill_the_child, kill_the_group, terminate, interrupt_twice)


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of its own for temporary directories: its number tells our loop devices from everybody else's, and
    that it can be unmounted in the end tells that nothing uses it any more."""
    place = Path(f"/var/tmp/pydib-kill-{os.getpid()}")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", place], check=True)
    try:
        yield place
        subprocess.run(["umount", place], check=True)
    finally:
        with suppress(OSError):
            subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)
        place.rmdir()


def test_root_s_builds(builder: Builder, own_disk: Path) -> None:
    builder.environment |= {"TMPDIR": str(own_disk), "OVERWRITE_OLD_IMAGE": "1"}
    sweep = [sys.executable, "-c", SWEEP, str(own_disk)]
    _kill_many("root", builder, sweep, own_disk, Path(builder.environment["HOME"]) / ".cache")


def test_an_ordinary_user_s_builds(user_builder: UserBuilder, own_disk: Path, user: User) -> None:
    user_builder.environment |= {"TMPDIR": str(own_disk), "OVERWRITE_OLD_IMAGE": "1"}
    sweep = user.argv(*user.python(SWEEP), own_disk)
    _kill_many("user", user_builder, sweep, own_disk, user.home / ".cache")


SWEEP = "import sys, pathlib; from pydib.host.workspace import sweep; sweep(pathlib.Path(sys.argv[1]))"
"""What the next build does first."""


def _kill_many(who: str, builder: Builder, sweep: list[str], disk: Path, cache: Path) -> None:
    builder.script("owners", "root.d/50-owners", '#!/bin/bash\nmkdir -p "$TARGET_ROOT/x"\n'
                   'touch "$TARGET_ROOT/x/y"\nchown -R 7:7 "$TARGET_ROOT/x"\nchmod 0 "$TARGET_ROOT/x"\n')
    modes = ("tree", "device") if who == "root" else ("tree",)
    usual, sizes = {}, {}
    for mode in modes:
        usual[mode] = min(_seconds(builder, mode, number) for number in (-1, -2))
        sizes[mode] = (builder.out / "disk.raw").stat().st_size
        (builder.out / "disk.raw").unlink()
    left: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    swept = 0
    dice = random.Random(4711)
    for number in range(BUILDS):
        way, mode = WAYS[number % len(WAYS)], modes[number // len(WAYS) % len(modes)]
        build = _start(builder, mode, number)
        time.sleep(dice.uniform(0, 0.9 * usual[mode]))
        with suppress(ProcessLookupError, FileNotFoundError, PermissionError):
            way(build)
        build.wait(30)
        ends["finished" if build.returncode == 0 else "ended early"] += 1
        _settle(disk)
        swept += len(list(disk.iterdir()))
        subprocess.run(sweep, check=True)
        left["processes"] += len(_processes(disk))
        left["directories"] += len(list(disk.iterdir()))
        left["loops"] += sum(loop.filesystem == disk.stat().st_dev for loop in loops_in_use())
        left["mounts"] += Path("/proc/self/mountinfo").read_text().count(f" {disk}/")
        left["outputs that are not whole"] += _broken(builder.out, sizes[mode])
    _seconds(builder, modes[0], BUILDS)
    left["leases and work of layers"] = len(_at_work(cache))
    counts = ", ".join(f"{left[name]} {name}" for name in (
        "mounts", "loops", "processes", "directories", "outputs that are not whole", "leases and work of layers"))
    figures.append(f"killed builds ({who}): {BUILDS}, of which {ends['finished']} had finished; "
                   f"swept: {swept} directories; left then: {counts}")
    assert not +left, figures[-1]
    assert ends["ended early"] > BUILDS / 2


def _at_work(cache: Path) -> list[Path]:
    """What running builds have in the store of layers, and killed ones leave there until the next build."""
    return [*cache.glob("image-create/layers/leases/*"), *cache.glob("image-create/layers/w/*.*")]


def _seconds(builder: Builder, mode: str, number: int) -> float:
    """How long a build takes that is left alone."""
    begun = time.monotonic()
    assert _start(builder, mode, number).wait() == 0
    return time.monotonic() - begun


def _start(builder: Builder, mode: str, number: int) -> subprocess.Popen[str]:
    """Begin a build that finds no layer which it could take over: its number is in the environment."""
    builder.environment |= {"DIB_ASSEMBLE": mode, "DIB_BUILD_NUMBER": str(number)}
    argv = builder.argv("--no-tmpfs", "-t", "raw", "tiny-os", "owners")
    return subprocess.Popen(argv, env=builder.environment, text=True, start_new_session=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _processes(disk: Path) -> list[str]:
    """Living processes of a build: they have its TMPDIR in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"TMPDIR={disk}\0".encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_text())
    return found


def _settle(disk: Path) -> None:
    """The kernel needs a moment to end everything of a namespace: a dying process gives up its memory, by which we
    find it, a little before the files that it has open, the build's lock among them."""
    deadline = time.monotonic() + 10
    while (_processes(disk) or any(map(_is_locked, disk.iterdir()))) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_locked(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _broken(out: Path, whole_bytes: int) -> int:
    """How many outputs are there that are not whole; takes all of them away."""
    broken = 0
    for path in out.iterdir():
        whole = path.name == "disk.raw" and path.stat().st_size == whole_bytes and subprocess.run(
            ["e2fsck", "-fn", path], check=False, capture_output=True).returncode == 0
        broken += not whole
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return broken
