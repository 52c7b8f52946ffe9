"""Debian images, each built once for all tests that look at it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.boot.guest import DISK_GIB, ELEMENTS, Guest, copy_of_checkout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder boots, or builds a whole distribution for it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.boot)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: builds an image with loop devices"))


def pydib(*arguments: str | Path, check: bool = True, user: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Call `pydib`, as another user when one is named."""
    argv = [sys.executable, "-c", "from pydib.cli.main import run; run()", *map(str, arguments)]
    if user:
        argv = ["runuser", "-u", user, "--", *argv]
    done = subprocess.run(argv, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, **env}, errors="replace")
    if check:
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds `debian-minimal vm` of a release with further elements; the same question gets the same image."""
    made: dict[tuple[str, ...], Path] = {}

    def build(release: str, *elements: str) -> Path:
        key = (release, *elements)
        if key not in made:
            place = tmp_path_factory.mktemp(f"debian-{release}")
            argv = [sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as d; d()", "-o",
                    str(place / "debian.qcow2"), "debian-minimal", "vm", *elements]
            done = subprocess.run(argv, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL,
                                  env={**os.environ, "DIB_RELEASE": release}, errors="replace")
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr
            made[key] = place / "debian.qcow2"
        return made[key]

    return build


@pytest.fixture(scope="session")
def guest_image(tmp_path_factory: pytest.TempPathFactory, fixtures: Path) -> Path:
    """The image of the virtual machine that runs tests which need another kernel than this machine's."""
    place = tmp_path_factory.mktemp("guest")
    pydib("build", "-o", place / "guest.qcow2", *ELEMENTS, DIB_RELEASE="bookworm",
          DIB_IMAGE_SIZE=str(DISK_GIB), ELEMENTS_PATH=str(fixtures / "elements"))
    return place / "guest.qcow2"


@pytest.fixture
def guest(guest_image: Path, tmp_path: Path) -> Guest:
    """A virtual machine to run commands in; what they leave in `/job` is in the guest's `place`."""
    (tmp_path / "job").mkdir()
    return Guest(image=guest_image, checkout=copy_of_checkout(tmp_path / "checkout"), place=tmp_path / "job")
