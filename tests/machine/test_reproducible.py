"""The same elements give the same image, bit for bit: whoever builds it, where, when, and with what around."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.finished_disk import check_clean, filesystems
from tests.ordinary_user import User, ordinary_user

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(os.geteuid() != 0, reason="builds as root and as an ordinary user"),
]

PROGRAM = "from pydib.cli.main import run; run()"
KINDS = "raw,qcow2,tar"


def build(place: Path, *argv: str | Path, before: Sequence[str | Path] = (), env: Mapping[str, str] | None = None,
          user: User | None = None, umask: int = 0o022) -> dict[str, str]:
    """Build in `place`; gives the digests of the outputs by their type."""
    words = ["build", "-o", "disk", "--progress", "lines", *map(str, argv)]
    command = [*before, sys.executable, "-c", PROGRAM, *words]
    if user is not None:
        named = [f"{name}={value}" for name, value in (env or {}).items()]
        command = user.argv(*named, *user.python(PROGRAM), *words, cwd=place)
    done = subprocess.run(list(map(str, command)), cwd=place, text=True, capture_output=True, check=False, umask=umask,
                          stdin=subprocess.DEVNULL, errors="replace", env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    outputs = [path for path in sorted(place.glob("disk.*")) if path.is_file()]
    found = {path.suffix[1:]: hashlib.sha256(path.read_bytes()).hexdigest() for path in outputs}
    assert found
    return found


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A build with nothing cached, and what came out of it."""
    place = tmp_path_factory.mktemp("usual")
    return place, build(place, "-t", KINDS, "--image-cache", place / "cache", "--no-cache", "busybox")


@pytest.mark.proves("busybox", how="real run")
def test_another_place_time_host_locale_and_umask(usual: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    place, temporary = folder(tmp_path / "some/where/else"), folder(tmp_path / "temporary")
    other = build(place, "-t", KINDS, "--image-cache", tmp_path / "cache", "--no-cache", "--no-tmpfs", "busybox",
                  before=["unshare", "--uts", "sh", "-c", 'hostname another-host; exec "$@"', "sh"], umask=0o077,
                  env={"TMPDIR": str(temporary), "LANG": "de_DE.UTF-8", "LC_TIME": "C.UTF-8", "TZ": "Asia/Tokyo"})
    assert other == usual[1]
    assert (place / "disk.raw").stat().st_mode & 0o777 == 0o600


def test_with_layers_new_and_taken_over(usual: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    for round in ("first", "second"):
        place = folder(tmp_path / round)
        assert build(place, "-t", KINDS, "--image-cache", tmp_path / "cache", "busybox") == usual[1], round


def test_an_ordinary_user(usual: tuple[Path, dict[str, str]]) -> None:
    with ordinary_user() as user:
        assert build(user.home, "-t", KINDS, "busybox", user=user) == usual[1]


@pytest.mark.proves("manifests", how="real run")
def test_manifests_tell_of_the_image_and_not_of_the_build(tmp_path: Path) -> None:
    """By root without layers, with its own Python; by a user with layers, with the system's."""
    elements = ("-t", KINDS, "busybox", "manifests")
    with ordinary_user() as user:
        first = build(tmp_path, "--no-cache", *elements, env={"HOME": str(tmp_path)})
        assert build(user.home, "--max-age", "7d", *elements, user=user, umask=0o077) == first
        assert build(user.home, *elements, user=user) == first, "handed out again"
    told = (tmp_path / "disk.d/dib-manifests/dib_arguments").read_text()
    assert told == "build -o disk -t raw,qcow2,tar busybox manifests\n"


def identifiers(disk: Path) -> tuple[str, str, str]:
    """Those of the table, and the root filesystem's UUID and hash seed."""
    (root,) = filesystems(disk)
    check_clean(root)
    place = f"{disk}?offset={root.offset_bytes}"
    told = subprocess.run(["dumpe2fs", "-h", place], capture_output=True, text=True, check=True).stdout
    table = " ".join(re.findall(r'"(?:id|uuid)": ?"(.*)"', subprocess.run(
        ["sfdisk", "--json", disk], capture_output=True, text=True, check=True).stdout))
    uuid, seed = (re.search(rf"^{name}: +(\S+)$", told, re.MULTILINE) for name in ("Filesystem UUID",
                                                                                   "Directory Hash Seed"))
    assert uuid and seed
    return table, uuid[1], seed[1]


def test_identifiers_follow_the_seed_and_are_new_when_asked_for(usual: tuple[Path, dict[str, str]], tmp_path: Path
                                                                ) -> None:
    cache = usual[0] / "cache"
    found = {}
    for name, options in {"seeded": ("--seed", "mine"), "seeded again": ("--seed", "mine"),
                          "new": ("--seed", "random"), "new again": ("--seed", "random")}.items():
        build(folder(tmp_path / name), "-t", "raw", "--image-cache", cache, *options, "busybox",
              "block-device-gpt")
        found[name] = identifiers(tmp_path / name / "disk.raw")
    assert found["seeded"] == found["seeded again"]
    for which in range(3):
        assert len({found[name][which] for name in ("seeded", "new", "new again")}) == 3


def test_the_date_that_the_caller_gives_is_the_newest_in_the_image(tmp_path: Path) -> None:
    place = folder(tmp_path / "dated")
    build(place, "-t", "tar,raw", "--image-cache", tmp_path / "cache", "busybox",
          env={"SOURCE_DATE_EPOCH": "1000000000"})
    listed = subprocess.run(["tar", "--list", "--verbose", "--full-time", "-f", place / "disk.tar"], text=True,
                            capture_output=True, check=True, env={**os.environ, "TZ": "UTC"}).stdout
    dates = [line.split()[3:5] for line in listed.splitlines()]
    assert max(dates) == ["2001-09-09", "01:46:40"]
    told = subprocess.run(["debugfs", "-R", "stat /etc/passwd", place / "disk.raw"], text=True, capture_output=True,
                          check=True).stdout
    times = re.findall(r"^ *([acm]|cr)time: (0x\w+)", told, re.MULTILINE)
    assert dict(times) == dict.fromkeys(("a", "c", "m", "cr"), f"0x{10**9:08x}")
