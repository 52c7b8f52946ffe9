"""Debian images whose disks were made without any block device: they boot by BIOS and by EFI, and GRUB's own
update-grub works in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.boot.conftest import pydib
from tests.finished_disk import FILLED_BY_KERNEL

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
ALL = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")


def build(place: Path, *elements: str, release: str, layout: str = "", **env: str) -> Path:
    """Build `debian-minimal vm` and `elements`, with the disk's layout of that name out of fixtures/."""
    variables = {**os.environ, "DIB_RELEASE": release, "ELEMENTS_PATH": str(FIXTURES / "elements"), **env}
    if layout:
        variables["DIB_BLOCK_DEVICE_CONFIG"] = f"file://{FIXTURES}/blockdev/bootable/{layout}.yaml"
    argv = [sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as d; d()", "-o",
            str(place / "tree.qcow2"), "--assemble", "tree", "--image-size", "3", "debian-minimal", "vm",
            "guest-update-grub", *elements]
    done = subprocess.run(argv, env=variables, text=True, capture_output=True, check=False, errors="replace",
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return place / "tree.qcow2"


def check_boots(image: Path, *, kernel: str, firmware: str = "bios") -> None:
    """It comes up, and the first update-grub names the root by its label, and kernels where GRUB finds them."""
    pydib("boot", "--firmware", firmware, "--timeout", "500", "--expect", f"GUEST UPDATE-GRUB 0 {kernel} END", image)


@ALL
def test_trixie_by_bios_from_a_gpt(tmp_path: Path) -> None:
    check_boots(build(tmp_path, "block-device-gpt", release="trixie"), kernel="/boot/vmlinuz")


@pytest.mark.proves("block-device-efi", how="boot")
@pytest.mark.parametrize("firmware", ["efi", pytest.param("bios", marks=ALL)])
def test_an_efi_image_is_made_without_a_kernel_that_knows_vfat(tmp_path: Path, firmware: str) -> None:
    image = build(tmp_path, "block-device-efi", release="bookworm")
    check_boots(image, kernel="/boot/vmlinuz", firmware=firmware)


@ALL
@pytest.mark.parametrize(("layout", "kernel", "firmware"), [
    ("boot-var-swap", "/vmlinuz", "bios"), ("boot-var-swap", "/vmlinuz", "efi"),
    pytest.param("xfs", "/boot/vmlinuz", "bios", marks=FILLED_BY_KERNEL),
    pytest.param("btrfs", "/boot/vmlinuz", "bios", marks=FILLED_BY_KERNEL),
])
def test_other_layouts_boot_as_well(tmp_path: Path, layout: str, kernel: str, firmware: str) -> None:
    image = build(tmp_path, "block-device-efi", release="bookworm", layout=layout)
    check_boots(image, kernel=kernel, firmware=firmware)
