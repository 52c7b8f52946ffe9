"""Builds that are killed at random moments, two at a time on one store, and on one directory that they share layers by:
the store is sound, and the next build is right."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import figures
from tests.machine.layered import Layered, LayeredBuilder, LayeredUserBuilder
from tests.ordinary_user import User

pytestmark = pytest.mark.machine

BUILDS = int(os.environ.get("PYDIB_KILLS") or (200 if os.environ.get("PYDIB_BOOT_ALL") else 16))
"""How many builds root begins; the ordinary user half as many."""
HEAD = "#!/bin/bash\nset -eu -o pipefail\n"


@pytest.fixture
def layered(request: pytest.FixtureRequest, tmp_path: Path, fixtures: Path) -> Iterator[Layered]:
    made: Layered
    if request.param == "root":
        made = LayeredBuilder(tmp_path, fixtures)
    else:
        user: User = request.getfixturevalue("user")
        made = LayeredUserBuilder(Path(tempfile.mkdtemp(prefix="build-", dir=user.home)), user)
    for number in range(6):
        made.script("first", f"install.d/{number}0-one", HEAD + f"echo {number} >/etc/n{number}; ln /etc/n{number} "
                    f"/etc/m{number}; cat $(dirname $0)/../files/data >/etc/data\n")
    made.script("second", "post-install.d/10-all", HEAD + "for name in 0 1 2 3; do echo more >>/etc/m$name; done\n")
    yield made
    shutil.rmtree(made.cache, ignore_errors=True)


def _started(made: Layered, which: int, shared: Path) -> subprocess.Popen[bytes]:
    argv = made.pydib("build", "--no-base", "--progress", "quiet", "-t", "tar", "-o", str(made.out / f"disk{which}"),
                      "--cache-to", str(shared), *made.names)
    return subprocess.Popen(argv, env=made.environment, cwd=made.out, stdout=subprocess.DEVNULL, start_new_session=True,
                            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def _usual_seconds(made: Layered, shared: Path) -> float:
    begun = time.monotonic()
    assert _started(made, 0, shared).wait() == 0
    return time.monotonic() - begun


@pytest.mark.parametrize("layered", ["root", "user"], indirect=True)
def test_killed_builds_leave_a_sound_store(layered: Layered) -> None:
    builds = BUILDS if isinstance(layered, LayeredBuilder) else BUILDS // 2
    dice = random.Random(builds)
    shared = layered.out.parent / "shared"
    layered.script("first", "files/data", "data first\n", mode=0o644)
    usual = _usual_seconds(layered, shared)
    shutil.rmtree(layered.store)
    ends: Counter[str] = Counter()
    sound = 0
    for number in range(builds // 2):
        layered.script("first", "files/data", f"data {number}\n", mode=0o644)
        if number % 10 == 5:  # and from nothing, now and then
            sound += _verified(layered)
            shutil.rmtree(layered.store)
        pair = [_started(layered, which, shared) for which in range(2)]
        begun = time.monotonic()
        for build, moment in zip(pair, sorted(dice.uniform(0, usual) for _ in pair), strict=True):
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(build.pid, signal.SIGKILL) if number % 2 else _kill_the_outermost_python(build.pid)
        for build in pair:
            ends["finished" if build.wait() == 0 else "killed"] += 1
    sound += _verified(layered)
    layered.build("--no-cache")
    plain = layered.tree()
    layered.build()
    assert layered.tree() == plain
    shutil.rmtree(layered.store)
    layered.build("--cache-from", str(shared))
    assert layered.tree() == plain
    assert "not taken" not in layered.log
    layered.told("cache", "gc")
    figures.append(f"layers of killed builds ({'root' if isinstance(layered, LayeredBuilder) else 'user'}): "
                   f"{ends['killed']} killed, {ends['finished']} had finished; {sound} states read, none damaged")
    assert ends["killed"] >= builds / 4


def _kill_the_outermost_python(pid: int) -> None:
    """pydib's outer process: runuser and env lie before it."""
    while not Path(f"/proc/{pid}/comm").read_text().startswith("python"):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            break
        pid = int(children[0])
    os.kill(pid, signal.SIGKILL)


def _verified(made: Layered) -> int:
    """How many states `pydib cache verify` reads, and finds whole, when the killed builds have ended."""
    _wait_for_the_end(made)
    return int(made.told("cache", "verify").split(" states read, all as they were written")[0])


def _wait_for_the_end(made: Layered) -> None:
    """A killed build may still be dying, and write to the store until then: its processes have its TMPDIR, and give
    their memory up a little before the files that they have open, the lease among them."""
    deadline = time.monotonic() + 30
    while (_alive(made) or any(map(_is_locked, made.store.glob("leases/*")))) and time.monotonic() < deadline:
        time.sleep(0.02)


def _alive(made: Layered) -> bool:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"TMPDIR={made.temporary}\0".encode() in path.read_bytes():
                return True
    return False


def _is_locked(lease: Path) -> bool:
    try:
        with lease.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False  # its build has ended meanwhile
    except BlockingIOError:
        return True
    return False
