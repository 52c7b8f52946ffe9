"""The Debian image: built by our engine from our elements, opened, and booted to its login prompt."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.boot.conftest import pydib

Image = Callable[..., Path]
ALL = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")


@pytest.mark.proves("debian-minimal", "debootstrap", "dpkg", "vm", "bootloader", "block-device-mbr",
                    "block-device-gpt", "base", how="boot")
@pytest.mark.parametrize(("release", "elements"), [
    pytest.param("bookworm", (), id="bookworm"),
    pytest.param("trixie", ("block-device-gpt",), id="trixie-gpt"),
    pytest.param("bookworm", ("block-device-gpt",), id="bookworm-gpt", marks=ALL),
    pytest.param("trixie", (), id="trixie", marks=ALL),
])
def test_it_boots_to_a_login_prompt(image: Image, release: str, elements: tuple[str, ...]) -> None:
    done = pydib("boot", "--timeout", "420", image(release, *elements))
    assert "reached a login prompt" in done.stdout


def test_waiting_for_what_never_comes_is_exit_code_1(image: Image) -> None:
    done = pydib("boot", "--timeout", "8", "--expect", "no such text", image("bookworm"), check=False)
    assert done.returncode == 1
    assert "did not reach" in done.stderr


def check(facts: dict[str, Any]) -> None:
    """What an inspection must say of the bookworm image."""
    text = json.dumps(facts)
    assert facts["operating_system"]["id"] == "debian"
    assert facts["operating_system"]["codename"] == "bookworm"
    root = next(entry for entry in facts["filesystems"] if entry["mount_point"] == "/")
    assert (root["type"], root["label"]) == ("ext4", "cloudimg-rootfs")
    assert len(facts["kernels"]) == 1
    assert "GRUB" in text
    assert len(facts["packages"]) > 200
    assert facts["fstab"][0]["mount_point"] == "/"


def test_inspect_as_root(image: Image) -> None:
    check(json.loads(pydib("inspect", "--json", image("bookworm")).stdout))


@pytest.fixture
def ordinary_user() -> Iterator[str]:
    """A user without any rights, gone afterwards."""
    name = "pydib-test"
    subprocess.run(["useradd", "--create-home", name], check=True)
    appliance = Path(f"/var/tmp/.guestfs-{pwd.getpwnam(name).pw_uid}")
    yield name
    subprocess.run(["pkill", "-KILL", "-u", name], check=False)
    shutil.rmtree(appliance, ignore_errors=True)
    subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


def readable_copy(place: Path) -> list[str]:
    """A command that runs pydib from a copy in `place`: an ordinary user may not read this checkout or its .venv."""
    root = Path(__file__).resolve().parents[2]
    packages = Path(sysconfig.get_paths()["purelib"])
    leave_out = shutil.ignore_patterns("mypy*", "ruff*", "pip*", "setuptools*", "__pycache__", "pytest*",
                                       "_pytest", "pydib*", "_pydib*")
    shutil.copytree(packages, place / "lib", ignore=leave_out)
    for name in ("pydib", "elements", "phases"):
        shutil.copytree(root / name, place / "lib" / name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
    program = f"import sys; sys.path.insert(0, {str(place / 'lib')!r}); from pydib.cli.main import run; run()"
    return ["/usr/bin/python3", "-c", program]


def test_inspect_as_an_ordinary_user(image: Image, ordinary_user: str) -> None:
    place = Path(tempfile.mkdtemp(prefix="pydib-inspect-", dir="/var/tmp"))
    try:
        command = readable_copy(place)
        shutil.copy(image("bookworm"), place / "debian.qcow2")
        (place / "debian.qcow2").chmod(0o644)
        argv = ["runuser", "-u", ordinary_user, "--", *command, "inspect", "--json", str(place / "debian.qcow2")]
        done = subprocess.run(argv, text=True, capture_output=True, check=False, cwd="/",
                              env={**os.environ, "HOME": f"/home/{ordinary_user}", "TMPDIR": "/var/tmp"})
        assert done.returncode == 0, done.stderr
        check(json.loads(done.stdout))
    finally:
        shutil.rmtree(place)
