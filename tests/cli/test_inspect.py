"""`pydib inspect`: how findings are shown, and what it says when there is nothing to look into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pydib.cli.inspect import as_text, command
from pydib.errors import InputError
from pydib.verify import disk
from pydib.verify.inspection import (
    BootLoader,
    Filesystem,
    FstabEntry,
    Inspection,
    KernelFile,
    OperatingSystem,
    Package,
    Partition,
)

DEBIAN = Inspection(
    image="/images/debian.qcow2", format="qcow2", virtual_size=2 << 30, disk_size=300 << 20, partition_table="gpt",
    partitions=(Partition(number=1, device="/dev/sda1", start=1 << 20, size=8 << 20, type="21686148", name="BSP",
                          type_name="BIOS boot", uuid="u1"),
                Partition(number=2, device="/dev/sda2", start=9 << 20, size=2 << 30, type="0FC63DAF", name="root",
                          type_name="Linux filesystem", flags=("legacy-boot",), uuid="u2")),
    filesystems=(Filesystem(device="/dev/sda2", type="ext4", label="cloudimg-rootfs", uuid="1234", size=2 << 30,
                            mount_point="/"),),
    fstab=(FstabEntry(source="LABEL=cloudimg-rootfs", mount_point="/", type="ext4", options=("defaults", "ro")),),
    operating_system=OperatingSystem(id="debian", version="12", codename="bookworm", arch="x86_64", hostname="debian",
                                     name="Debian GNU/Linux 12 (bookworm)", package_format="deb"),
    boot_loaders=(BootLoader(name="GRUB", firmware="bios", where="/dev/sda"),),
    kernels=(KernelFile(path="/boot/vmlinuz-6.1", version="6.1", initrd="/boot/initrd.img-6.1", has_modules=True),),
    packages=(Package(name="apt", version="2.6.1", arch="amd64"),),
)


def test_the_text_names_everything() -> None:
    text = as_text(DEBIAN)
    for part in ("Debian GNU/Linux 12 (bookworm)", "GRUB for BIOS (/dev/sda)", "qcow2, 2.0 GiB (300.0 MiB on disk)",
                 "label cloudimg-rootfs", "on /", "1 (deb)", "6.1 (/boot/initrd.img-6.1)", "defaults,ro",
                 "partition table   gpt", "Linux filesystem `root` (legacy-boot)"):
        assert part in text
    assert "2.6.1" not in text


def test_packages_are_listed_on_demand() -> None:
    assert "apt 2.6.1 amd64\n" in as_text(DEBIAN, list_packages=True)


def test_a_disk_without_a_system() -> None:
    text = as_text(replace(DEBIAN, operating_system=None, kernels=(), packages=(), fstab=(), boot_loaders=(),
                           filesystems=(), partitions=(), partition_table="none"))
    assert "none that is known" in text
    assert "boot loader       none" in text
    assert "fstab" not in text
    assert "packages" not in text


def test_json_is_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "inspect", lambda image: DEBIAN)
    done = CliRunner().invoke(command, ["--json", "x.qcow2"])
    assert done.exit_code == 0
    import json

    found = json.loads(done.stdout)
    assert found["operating_system"]["codename"] == "bookworm"
    assert found["packages"] == [{"name": "apt", "version": "2.6.1", "arch": "amd64"}]


def test_no_image(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path / "nothing")])
    assert isinstance(done.exception, InputError)
