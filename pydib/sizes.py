"""Sizes: how they are written (contract C-214), and the arithmetic of the image size (C-224)."""

from __future__ import annotations

import re

from pydib.errors import BlockDeviceConfigError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

UNITS = {
    "TiB": TIB, "GiB": GIB, "MiB": MIB, "KiB": KIB,
    "TB": 10**12, "GB": 10**9, "MB": 10**6, "KB": 10**3,
    "T": 10**12, "G": 10**9, "M": 10**6, "K": 10**3,
    "B": 1, "": 1,
}
_ABSOLUTE = re.compile(r"^(\d*\.?\d*) ?([A-Za-z]*)$")
_RELATIVE = re.compile(r"^(\d*\.?\d*) ?%$")


def parse_size(text: object, *, whole: int | None = None) -> int:
    """The number of bytes that `text` means (C-214).

    Units are case-sensitive: TiB GiB MiB KiB are powers of 1024; TB GB MB KB and T G M K are powers of 1000;
    B or nothing is bytes. An empty number counts as 1. `N%` is that part of `whole`, in bytes.

    Raises:
        BlockDeviceConfigError: when `text` is not a string, has another form, or is relative without a `whole`.
    """
    if not isinstance(text, str):
        raise BlockDeviceConfigError(f"a size must be text such as '4GiB', not {text!r}",
                                     hint="put the size in quotes and give it a unit")
    stripped = text.strip()
    relative = _RELATIVE.match(stripped)
    if relative:
        if whole is None:
            raise BlockDeviceConfigError(f"the size {text!r} is relative, but there is nothing it could be a part of",
                                         hint="give an absolute size, such as '4GiB'")
        return int(whole * float(relative[1] or 1) / 100)
    absolute = _ABSOLUTE.match(stripped)
    if not absolute or absolute[2] not in UNITS or absolute[1] == ".":
        units = " ".join(unit for unit in UNITS if unit)
        raise BlockDeviceConfigError(f"{text!r} is not a size", hint=f"write a number and one of {units}, or N%")
    return int(float(absolute[1] or 1) * UNITS[absolute[2]])


def is_relative(text: str) -> bool:
    """Whether `text` is a percentage."""
    return bool(_RELATIVE.match(text.strip()))


def human_size(size_bytes: int) -> str:
    """`size_bytes` in the largest binary unit that fits, for people: `1.5 GiB`."""
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


EFI_PADDING_KIB = 525 * 1024
DEFAULT_JOURNAL_MIB = 64


def image_size_kib(*, tree_kib: int, given_gib: float | None, extra_mib: float | None, journal_mib: int,
                   ext4_root: bool, efi: bool) -> int:
    """The size of the disk image in KiB (C-224).

    Args:
        tree_kib: disk usage of the tree, as `du -x -k` counts it.
        given_gib: DIB_IMAGE_SIZE in GiB; when given nothing is estimated.
        extra_mib: DIB_IMAGE_EXTRA_SIZE in MiB; replaces the estimate of 1/0.6 of the tree.
        journal_mib: size of the ext4 journal in MiB, added when the size is estimated.
        ext4_root: whether the root filesystem is ext4.
        efi: whether an EFI system partition takes 525 MiB more.

    >>> image_size_kib(tree_kib=123457, given_gib=None, extra_mib=None, journal_mib=64, ext4_root=True, efi=False)
    271360
    """
    if given_gib is not None:
        size = int(given_gib * 1048576)
    else:
        size = tree_kib + int(extra_mib * 1024) if extra_mib is not None else int(tree_kib / 0.6)
        if ext4_root:
            size += journal_mib * 1024
    if efi:
        size += EFI_PADDING_KIB
    return -(-size // 64) * 64
