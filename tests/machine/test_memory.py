"""The engine's own memory stays under 100 MB, however much there is to build: of root, and of an ordinary user."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import figures
from tests.ordinary_user import ordinary_user

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(os.geteuid() != 0, reason="builds as root and as an ordinary user"),
]

PROGRAM = "from pydib.cli.main import run; run()"
MOST_BYTES = 100_000_000
FOLDERS, FILES = 100, 600
SCRIPT = f"""#!/bin/sh
set -eu
for folder in $(seq {FOLDERS}); do
    mkdir -p "/srv/many/$folder"
    cd "/srv/many/$folder"
    for file in $(seq {FILES}); do echo "$folder $file" >"a-file-with-a-usual-name-$file"; done
done
mkdir /srv/flat
cd /srv/flat
for file in $(seq {FILES * 10}); do : >"$file"; done
head -c 100000000 /dev/urandom >/srv/large
"""


@contextmanager
def started(who: str, tmp_path: Path, fixtures: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A build, and the folder that it has its outputs and events in."""
    words = ["build", "-o", "disk", "--progress", "lines", "--no-base", "-t", "raw,qcow2,tar", "--image-cache", "cache",
             "--events", "events", "--image-size", "1.5", "--mkfs-options", "-N 200000", "tiny-os", "many"]
    if who == "root":
        place, argv, env = tmp_path, [sys.executable, "-c", PROGRAM], {**os.environ}
        _element(place)
        env["ELEMENTS_PATH"] = f"{place}:{fixtures}/elements"
        with subprocess.Popen([*argv, *words], cwd=place, env=env, stdout=subprocess.PIPE) as process:
            yield place, process
        return
    with ordinary_user() as user:
        place = user.home
        _element(place)
        argv = user.argv(f"ELEMENTS_PATH={place}:{user.library}/fixtures/elements", *user.python(PROGRAM), *words,
                         cwd=place)
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            yield place, process


def _element(place: Path) -> None:
    script = place / "many/install.d/50-many"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    script.chmod(0o755)


def engine_bytes(top: int) -> int:
    """What all interpreters below the process `top` take together; what they share counts once."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    total = 0
    for pid in parents:
        above = pid
        while above in parents and above != top:
            above = parents[above]
        with suppress(OSError):
            if above == top and "python" in os.readlink(f"/proc/{pid}/exe"):
                told = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(re.findall(r"^Pss: +(\d+) kB$", told, re.MULTILINE)[0]) * 1024
    return total


@pytest.mark.parametrize("who", ["root", "user"])
def test_a_tree_of_many_files(who: str, tmp_path: Path, fixtures: Path) -> None:
    most = 0
    with started(who, tmp_path, fixtures) as (place, process):
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        log = b""
        while process.poll() is None:
            most = max(most, engine_bytes(process.pid))
            log += process.stdout.read() or b""
            time.sleep(0.1)
        log += process.stdout.read() or b""
        assert process.returncode == 0, log[-4000:].decode(errors="replace")
        told = [json.loads(line) for line in (place / "events").read_text().splitlines()]
        files = subprocess.run(["tar", "--list", "-f", place / "disk.tar"], capture_output=True, check=True).stdout
        (peak,) = (line["peak_bytes"] for line in told if line["event"] == "BuildFinished")
    figures.append(f"memory of the engine, a tree of {FOLDERS * FILES + FILES * 10} files by {who}: "
                   f"{peak / 1e6:.0f} MB the process that builds, {most / 1e6:.0f} MB all of its processes")
    assert 10_000_000 < peak < MOST_BYTES
    assert 10_000_000 < most < MOST_BYTES
    assert files.count(b"a-file-with-a-usual-name") == FOLDERS * FILES
