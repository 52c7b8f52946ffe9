"""Debian, built by an ordinary user without any rights, and booted to its login prompt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import oracle
from tests.boot.conftest import pydib
from tests.finished_disk import FILLED_BY_KERNEL, check_clean, filesystems, raw_copy
from tests.ordinary_user import User, ordinary_user

ALL = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with ordinary_user() as made:
        yield made


@pytest.mark.parametrize(("elements", "layout", "firmware"), [
    pytest.param((), "", "bios", id="mbr"),
    pytest.param(("block-device-gpt",), "", "bios", id="gpt", marks=ALL),
    pytest.param(("block-device-efi",), "", "efi", id="efi", marks=ALL),
    pytest.param(("block-device-efi",), "boot-var-swap", "bios", id="boot-var-swap", marks=ALL),
    pytest.param(("block-device-efi",), "xfs", "bios", id="xfs", marks=(ALL, FILLED_BY_KERNEL)),
    pytest.param(("block-device-efi",), "btrfs", "bios", id="btrfs", marks=(ALL, FILLED_BY_KERNEL)),
])
def test_it_is_clean_and_boots(user: User, tmp_path: Path, elements: tuple[str, ...], layout: str, firmware: str
                               ) -> None:
    """Before it was ever mounted, each filesystem's own checker finds nothing."""
    image = build(user, *elements, layout=layout)
    found = filesystems(raw_copy(image, tmp_path))
    assert sorted(one.type for one in found) == FILESYSTEMS[layout or (*elements, "mbr")[0]]
    for one in found:
        check_clean(one)
    booted = pydib("boot", "--firmware", firmware, "--timeout", "420", image)
    assert "reached a login prompt" in booted.stdout


FILESYSTEMS = {"mbr": ["ext4"], "block-device-gpt": ["ext4"], "block-device-efi": ["ext4", "vfat"],
               "boot-var-swap": ["ext4", "ext4", "ext4", "swap", "vfat"], "xfs": ["vfat", "xfs"],
               "btrfs": ["btrfs", "vfat"]}


@ALL
@pytest.mark.contract("C-001")
def test_dib_s_own_elements(user: User) -> None:
    """Their boot loader needs a block device, and ours stands before it; all else is theirs."""
    theirs, ours = user.library.parent / "theirs", user.library.parent / "ours"
    shutil.copytree(oracle.elements_folder(), theirs, symlinks=True)
    shutil.copytree(user.library / "elements/bootloader", ours / "bootloader", symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", theirs, ours], check=True)
    settings = {"ELEMENTS_PATH": f"{ours}:{theirs}", "DIB_PYTHON_VERSION": "3"}
    if mirror := oracle.security_mirror():
        settings["DIB_DEBIAN_SECURITY_MIRROR"] = mirror
    booted = pydib("boot", "--timeout", "420", build(user, **settings))
    assert "reached a login prompt" in booted.stdout


def build(user: User, *elements: str, layout: str = "", **settings: str) -> Path:
    """Build `debian-minimal vm` and `elements` as `user`, with the disk's layout of that name out of fixtures/."""
    image = user.home / "debian.qcow2"
    variables = {"OVERWRITE_OLD_IMAGE": "1", "DIB_RELEASE": "bookworm", **settings}
    if layout:
        variables |= {"DIB_BLOCK_DEVICE_CONFIG": f"file://{user.library}/fixtures/blockdev/bootable/{layout}.yaml",
                      "DIB_IMAGE_SIZE": "3"}
    program = user.python("from pydib.cli.drop_in import disk_image_create as d; d()")
    argv = user.argv(*(f"{name}={value}" for name, value in variables.items()), *program, "-o", image,
                     "debian-minimal", "vm", *elements)
    done = subprocess.run(argv, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL, errors="replace")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert image.stat().st_uid == user.number
    return image
