"""Understanding what was found in an image."""

from __future__ import annotations

import json

import pytest

from pydib.verify.inspection import (
    FstabEntry,
    Inspection,
    bios_boot_loader,
    efi_boot_loader,
    gpt_flags,
    kernels_among,
    mbr_flags,
    parse_fstab,
    parse_os_release,
)


def test_fstab() -> None:
    text = "# comment\n\nLABEL=root / ext4 errors=remount-ro,noatime 0 1\n  LABEL=s none swap\nbroken\n"
    assert parse_fstab(text) == (
        FstabEntry(source="LABEL=root", mount_point="/", type="ext4", options=("errors=remount-ro", "noatime"),
                   fsck_pass=1),
        FstabEntry(source="LABEL=s", mount_point="none", type="swap", options=("defaults",)),
    )


def test_fstab_with_escapes_and_odd_numbers() -> None:
    entry = parse_fstab(r"/dev/a\040b /x\011y ext4 defaults yes 2 extra")[0]
    assert (entry.source, entry.mount_point, entry.dump, entry.fsck_pass) == ("/dev/a b", "/x\ty", 0, 2)


def test_os_release() -> None:
    text = "NAME=\"A \\\"B\\\"\"\n# ID=wrong\nID='debian'\nBROKEN=\"\nnothing\nVERSION_ID=12\nEMPTY=\n"
    assert parse_os_release(text) == {"NAME": 'A "B"', "ID": "debian", "VERSION_ID": "12", "EMPTY": ""}


def test_kernels_of_debian_and_fedora() -> None:
    found = kernels_among(
        ["vmlinuz-6.1.0-9-amd64", "initrd.img-6.1.0-9-amd64", "config-6.1.0-9-amd64", "System.map-6.1.0-9-amd64",
         "vmlinuz-6.2.9-300.fc38.x86_64", "initramfs-6.2.9-300.fc38.x86_64.img", "vmlinuz", "grub"],
        ["6.1.0-9-amd64"])
    assert [(kernel.version, kernel.initrd, kernel.has_modules) for kernel in found] == [
        ("6.1.0-9-amd64", "/boot/initrd.img-6.1.0-9-amd64", True),
        ("6.2.9-300.fc38.x86_64", "/boot/initramfs-6.2.9-300.fc38.x86_64.img", False),
    ]


@pytest.mark.parametrize(("sector", "name"), [
    pytest.param(bytes(0x180) + b"GRUB \0Geom\0Hard Disk\0", "GRUB", id="grub"),
    pytest.param(bytes(3) + b"SYSLINUX" + bytes(501), "SYSLINUX", id="syslinux"),
])
def test_boot_loaders_in_a_first_sector(sector: bytes, name: str) -> None:
    loader = bios_boot_loader(sector.ljust(512, b"\0"), "/dev/sda")
    assert loader is not None
    assert (loader.name, loader.firmware, loader.where) == (name, "bios", "/dev/sda")


def test_a_name_behind_the_boot_code_is_none() -> None:
    assert bios_boot_loader(bytes(450) + b"GRUB" + bytes(58), "/dev/sda") is None
    assert bios_boot_loader(bytes(512), "/dev/sda") is None


@pytest.mark.parametrize(("path", "content", "name", "removable"), [
    ("/EFI/BOOT/BOOTX64.EFI", b"..(,gpt3)/boot/grub..", "GRUB", True),
    ("/efi/boot/bootaa64.efi", b"#### LoaderInfo: systemd-boot 252 ####", "systemd-boot", True),
    ("/EFI/debian/grubx64.efi", b"normal.mod GRUB", "GRUB", False),
    ("/EFI/debian/other.efi", b"", "unknown", False),
])
def test_efi_programs(path: str, content: bytes, name: str, removable: bool) -> None:
    loader = efi_boot_loader(path, content)
    assert (loader.name, loader.removable, loader.firmware) == (name, removable, "efi")


def test_partition_flags() -> None:
    assert gpt_flags(0) == ()
    assert gpt_flags(1 | 4 | 1 << 63) == ("required", "legacy-boot", "no-auto")
    sector = bytes(446) + bytes(16) + b"\x80" + bytes(15) + bytes(34)
    assert (mbr_flags(sector, 1), mbr_flags(sector, 2), mbr_flags(sector, 5)) == ((), ("bootable",), ())


def test_an_inspection_is_plain_json() -> None:
    found = Inspection(image="x", format="raw", virtual_size=1, disk_size=1, partition_table="none", partitions=(),
                       filesystems=(), fstab=parse_fstab("a /b ext4 ro 0 0"), operating_system=None, boot_loaders=(),
                       kernels=(), packages=())
    assert json.loads(json.dumps(found.as_json()))["fstab"][0]["options"] == ["ro"]
