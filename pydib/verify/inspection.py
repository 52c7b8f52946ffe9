"""What is in a disk image, as values. Everything that can be understood without the image is understood here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

GPT_TYPES = {
    "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": "Linux swap",
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4": "Linux filesystem",
    "21686148-6449-6E6F-744E-656564454649": "BIOS boot",
    "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "Linux root (x86-64)",
    "B921B045-1DF0-41C3-AF44-4C6F280D3FAE": "Linux root (ARM64)",
    "9E1A2D38-C612-4316-AA26-8B49521E5A8B": "PReP boot",
    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "EFI system",
    "E6D6D379-F507-44C2-A23C-238F2A3DF928": "Linux LVM",
    "BC13C2FF-59E6-4262-A352-B275FD6F7172": "Linux extended boot",
}
"""Partition types of GPT (UEFI specification; systemd's Discoverable Partitions Specification)."""

MBR_TYPES = {
    0x05: "extended", 0x0B: "FAT32", 0x0C: "FAT32", 0x0E: "FAT16", 0x0F: "extended", 0x41: "PReP boot",
    0x82: "Linux swap", 0x83: "Linux filesystem", 0x8E: "Linux LVM", 0xEE: "GPT protective", 0xEF: "EFI system",
}
GPT_FLAGS = {0: "required", 1: "no-block-io", 2: "legacy-boot", 60: "read-only", 62: "hidden", 63: "no-auto"}


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition. `start` and `size` in bytes; `type` is the GUID of a GPT's, and `0x83` and the like of an MBR's,
    `type_name` is for people. `name` and `uuid` exist in GPT only."""

    number: int
    device: str
    start: int
    size: int
    type: str
    type_name: str
    flags: tuple[str, ...] = ()
    name: str = ""
    uuid: str = ""


@dataclass(frozen=True, kw_only=True)
class Filesystem:
    """A filesystem, or swap, and where the image's own fstab puts it. `size` is that of its device, in bytes."""

    device: str
    type: str
    label: str
    uuid: str
    size: int
    mount_point: str = ""


@dataclass(frozen=True, kw_only=True)
class FstabEntry:
    """A line of /etc/fstab; see fstab(5)."""

    source: str
    mount_point: str
    type: str
    options: tuple[str, ...]
    dump: int = 0
    fsck_pass: int = 0


@dataclass(frozen=True, kw_only=True)
class OperatingSystem:
    """The system that is installed. `id`, `version`, `codename` and `name` as os-release(5) has them; `package_format`
    is `deb`, `rpm` and so on."""

    id: str
    version: str
    codename: str
    name: str
    arch: str
    hostname: str
    package_format: str


@dataclass(frozen=True, kw_only=True)
class KernelFile:
    """A kernel in /boot, the initramfs beside it, and whether modules of its version are there."""

    path: str
    version: str
    initrd: str
    has_modules: bool


@dataclass(frozen=True, kw_only=True)
class BootLoader:
    """A boot loader. `firmware` is `bios` or `efi`; `where` is a device whose first sector it is in, or a file.
    `removable` tells of EFI's default path, which firmware tries on a disk it has never seen."""

    name: str
    firmware: str
    where: str
    removable: bool = False


@dataclass(frozen=True, kw_only=True)
class Package:
    """An installed package."""

    name: str
    version: str
    arch: str


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything found in an image. Sizes in bytes. `partition_table` is `gpt`, `mbr` or `none`; without a known
    operating system `operating_system` is None and what depends on it is empty."""

    image: str
    format: str
    virtual_size: int
    disk_size: int
    partition_table: str
    partitions: tuple[Partition, ...]
    filesystems: tuple[Filesystem, ...]
    fstab: tuple[FstabEntry, ...]
    operating_system: OperatingSystem | None
    boot_loaders: tuple[BootLoader, ...]
    kernels: tuple[KernelFile, ...]
    packages: tuple[Package, ...]

    def as_json(self) -> dict[str, Any]:
        """The inspection as plain maps and lists."""
        return asdict(self)


def gpt_flags(attributes: int) -> tuple[str, ...]:
    """Names of a GPT partition's attribute bits.

    >>> gpt_flags(4)
    ('legacy-boot',)
    """
    return tuple(name for bit, name in GPT_FLAGS.items() if attributes >> bit & 1)


def mbr_flags(sector: bytes, number: int) -> tuple[str, ...]:
    """`bootable`, if the MBR in `sector` says so of partition `number`. Only the four primary ones can be.

    >>> mbr_flags(bytes(446) + b"\\x80" + bytes(65), 1)
    ('bootable',)
    """
    return ("bootable",) if number <= 4 and sector[446 + 16 * (number - 1)] == 0x80 else ()


def parse_fstab(text: str) -> tuple[FstabEntry, ...]:
    """The entries of an fstab; lines that make no sense are left out.

    >>> parse_fstab("LABEL=data /my\\\\040data ext4 ro,noatime 0 2")[0].mount_point
    '/my data'
    """
    rows = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return tuple(_fstab_entry([_unescaped(field) for field in row]) for row in rows if len(row) >= 3)


def _fstab_entry(fields: Sequence[str]) -> FstabEntry:
    options, dump, fsck_pass = [*fields[3:6], *("defaults", "0", "0")[len(fields[3:6]):]]
    return FstabEntry(source=fields[0], mount_point=fields[1], type=fields[2], options=tuple(options.split(",")),
                      dump=_number(dump), fsck_pass=_number(fsck_pass))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _unescaped(field: str) -> str:
    """Spaces and their like are octal in an fstab (fstab(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def parse_os_release(text: str) -> dict[str, str]:
    """The variables of an os-release(5) file; lines that a shell could not read are left out.

    >>> parse_os_release('ID=debian\\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"')["PRETTY_NAME"]
    'Debian GNU/Linux 12 (bookworm)'
    """
    known = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            known[name] = "".join(shlex.split(value))
        except ValueError:
            continue
    return known


def kernels_among(boot_files: Iterable[str], module_versions: Iterable[str]) -> tuple[KernelFile, ...]:
    """The kernels in /boot.

    Args:
        boot_files: names of the files in /boot.
        module_versions: names of the directories in /lib/modules.

    >>> kernels_among(["vmlinuz-6.1.0-9-amd64", "initrd.img-6.1.0-9-amd64"], ["6.1.0-9-amd64"])[0].initrd
    '/boot/initrd.img-6.1.0-9-amd64'
    """
    names, modules = sorted(boot_files), set(module_versions)
    matches = [match for name in names if (match := re.fullmatch(r"(?:vmlinu[xz]|kernel|Image)-(.+)", name))]
    return tuple(KernelFile(path=f"/boot/{match[0]}", version=match[1], initrd=_initrd(match[1], names),
                            has_modules=match[1] in modules) for match in matches)


def _initrd(version: str, names: Sequence[str]) -> str:
    wanted = (f"initrd.img-{version}", f"initramfs-{version}.img", f"initrd-{version}", f"initramfs-{version}")
    return next((f"/boot/{name}" for name in wanted if name in names), "")


def bios_boot_loader(sector: bytes, device: str) -> BootLoader | None:
    """The boot loader whose first stage is in `sector`, the first 512 bytes of `device`.

    GRUB's boot.img holds the words that it prints when it fails; SYSLINUX writes its name where DOS had its own.
    """
    code = sector[:440]
    if b"GRUB" in code:
        return BootLoader(name="GRUB", firmware="bios", where=device)
    if b"SYSLINUX" in sector or b"EXTLINUX" in sector:
        return BootLoader(name="SYSLINUX", firmware="bios", where=device)
    if b"LILO" in code:
        return BootLoader(name="LILO", firmware="bios", where=device)
    return None


def efi_boot_loader(path: str, content: bytes) -> BootLoader:
    """What the EFI program `path`, with that content, is.

    >>> efi_boot_loader("/EFI/BOOT/BOOTX64.EFI", b"... /boot/grub ...")
    BootLoader(name='GRUB', firmware='efi', where='/EFI/BOOT/BOOTX64.EFI', removable=True)
    """
    signs = (("systemd-boot", b"systemd-boot"), ("shim", b"UEFI SHIM"), ("GRUB", b"grub"), ("GRUB", b"GRUB"),
             ("Linux", b"Linux version"))
    name = next((name for name, sign in signs if sign in content), "unknown")
    removable = bool(re.search(r"/EFI/BOOT/BOOT[A-Z0-9]+\.EFI$", path, re.IGNORECASE))
    return BootLoader(name=name, firmware="efi", where=path, removable=removable)
