"""Disks that take another kernel than this machine's to make: with LVM, and with sectors of 4096 bytes and a mounted
ESP. This machine makes the tree, a virtual machine the disk; it boots here."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from benchmarks import oracle
from pydib.verify.boot import boot
from tests.boot.conftest import pydib
from tests.boot.guest import CHECKOUT, Guest

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

PACKAGES = "grub-pc-bin,grub-efi-amd64-bin,grub2-common,lvm2,xfsprogs,dosfstools"
"""What is asked for later on: emulated, it would take minutes to install."""


def made_in(guest: Guest, checks: list[str], layout: str, *elements: str, **env: str) -> Path:
    """An image of debian-minimal and these elements, with the checks in it, and a disk that was made in `guest`."""
    mirror = oracle.mirror()
    settings = {"DIB_RELEASE": "bookworm", "DIB_DISTRIBUTION_MIRROR": mirror,
                "DIB_APT_SOURCES_CONF": f"default:deb {mirror} bookworm main"}
    pydib("build", "-t", "tar", "-o", guest.place / "tree", "-p", PACKAGES, "debian-minimal", "guest-probe", *elements,
          ELEMENTS_PATH=str(CHECKOUT / "fixtures/elements"), DIB_GUEST_PROBE="\n".join(checks), **settings, **env)
    command = shlex.join(["pydib", "build", "--no-base", "--no-cache", "--image-size", "6", "--compression", "none",
                          "-o", "/job/disk", "tree-of-tar", "vm", layout])
    result = guest.run(command, timeout_seconds=2400, ELEMENTS_PATH="/pydib/fixtures/elements",
                       TREE_OF_TAR="/job/tree.tar", **settings)
    assert result.code == 0, result.output[-8000:]
    (guest.place / "tree.tar").unlink()
    return guest.place / "disk.qcow2"


GROWN = [
    "root-is-lvm findmnt -n -o SOURCE / | grep -x /dev/mapper/vg-lv_root && findmnt -n -o FSTYPE / | grep -x xfs",
    "volumes findmnt /var && findmnt /home && findmnt --fstab /boot/efi",
    "root-grew [ $(df --output=size -BM / | tail -n 1 | tr -dc 0-9) -gt 3000 ]",
    "var-grew [ $(df --output=size -BM /var | tail -n 1 | tr -dc 0-9) -gt 3800 ]",
    "nothing-is-left [ $(vgs --noheadings --units m --nosuffix -o vg_free vg | tr -d ' ' | cut -d. -f1) -lt 16 ]",
    "label blkid -L img-rootfs",
    "again growvols | grep 'nothing to do'",
]


@pytest.mark.proves("block-device-efi-lvm", "growvols", how="boot")
def test_volumes_grow_with_the_disk(guest: Guest) -> None:
    image = made_in(guest, GROWN, "block-device-efi-lvm", "growvols", DIB_GROWVOLS_TRIGGER="systemd",
                    DIB_GROWVOLS_ARGS="/=50% /var=20% /home=30%")
    subprocess.run(["qemu-img", "resize", "-q", image, "10G"], check=True)
    boots(image)


SECTORS = [
    "sectors grep -x 4096 /sys/block/vda/queue/logical_block_size",
    "esp mountpoint /boot/efi && findmnt -n -o FSTYPE /boot/efi | grep -x vfat",
    "firmware ls -d /sys/firmware/efi",
]


@pytest.mark.proves("block-device-efi-4k", how="boot")
def test_large_sectors(guest: Guest) -> None:
    boots(made_in(guest, SECTORS, "block-device-efi-4k"), sector_bytes=4096)


def boots(image: Path, *, sector_bytes: int = 512) -> None:
    """It boots by EFI, and every check holds."""
    lines: list[str] = []
    result = boot(image, expect="failed, END", timeout_seconds=600, on_line=lines.append, firmware="efi",
                  sector_bytes=sector_bytes)
    told = [line for line in lines if "PROBE" in line]
    assert result.reached, "\n".join(result.tail)
    assert "PROBE: 0 failed, END" in told[-1], "\n".join(told)
    image.unlink()
