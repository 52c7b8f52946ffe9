"""What is on a finished disk image, told by tools that are not ours: its filesystems, and whether they are clean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pydib.blockdev.filesystem import EXT
from pydib.blockdev.tree.kernel import PROGRAM
from pydib.errors import CommandFailed
from pydib.host import loop
from pydib.host.command import find_tool, run
from pydib.host.mount import mounted

CHECKERS = {**dict.fromkeys(EXT, ("e2fsck", "-fn")), "xfs": ("xfs_repair", "-n"), "btrfs": ("btrfs", "check"),
            "vfat": ("fsck.fat", "-n"), "swap": ("swaplabel",)}
"""The command that changes nothing and fails when it finds something, by type of filesystem."""


FILLED_BY_KERNEL = pytest.mark.skipif(not find_tool(PROGRAM), reason=f"{PROGRAM} is not installed")
"""For tests of tree mode with xfs or btrfs: Debian's package is user-mode-linux."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A filesystem in the disk image `disk`: its type and label as blkid(8) tells them; place and size in bytes."""

    disk: Path
    type: str
    label: str
    offset_bytes: int
    size_bytes: int


def raw_copy(image: Path, place: Path) -> Path:
    """`image`, whatever its format is, as a raw file in the folder `place`."""
    raw = place / f"{image.stem}.copy.raw"
    run("qemu-img", "convert", "-O", "raw", image, raw)
    return raw


def filesystems(disk: Path) -> list[Found]:
    """The filesystems of the raw image `disk`, in the order of their places; swap is one of them."""
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    sector = table.get("sectorsize", 512)
    places = [(entry["start"] * sector, entry["size"] * sector) for entry in table["partitions"]]
    return [found for offset, size in sorted(places) for found in _probed(disk, offset, size)]


def _probed(disk: Path, offset: int, size: int) -> Iterator[Found]:
    with suppress(CommandFailed):  # blkid fails where it knows nothing, as in a BIOS boot partition
        lines = run("blkid", "--probe", "--output", "export", "--offset", str(offset), "--size", str(size),
                    disk).splitlines()
        told = dict(line.split("=", 1) for line in lines if "=" in line)
        if "TYPE" in told:
            yield Found(disk=disk, type=told["TYPE"], label=told.get("LABEL", ""), offset_bytes=offset, size_bytes=size)


def check_clean(found: Found) -> None:
    """Let the filesystem's own checker look at it.

    Raises:
        CommandFailed: it finds something.
    """
    checker = CHECKERS[found.type]
    if checker[0] == "e2fsck":
        run(*checker, f"{found.disk}?offset={found.offset_bytes}")
        return
    own = cut_out(found)
    try:
        run(*checker, own)
    finally:
        own.unlink()


def cut_out(found: Found) -> Path:
    """The filesystem as a file of its own, beside the disk."""
    own = found.disk.with_suffix(".part")
    run("dd", f"if={found.disk}", f"of={own}", "bs=1M", "iflag=skip_bytes,count_bytes", f"skip={found.offset_bytes}",
        f"count={found.size_bytes}", "conv=sparse", "status=none")
    return own


@contextmanager
def shown(found: Found, place: Path) -> Iterator[Path]:
    """The filesystem mounted read-only on the new folder `place`, for as long as the block lasts."""
    place.mkdir()
    with ExitStack() as stack:
        stack.callback(place.rmdir)
        device = stack.enter_context(loop.attached(found.disk, offset_bytes=found.offset_bytes,
                                                   size_bytes=found.size_bytes))
        yield stack.enter_context(mounted(device, place, options="ro"))
