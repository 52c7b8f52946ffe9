"""Partition tables on a loop device, and devices for their partitions (contract C-216 to C-218)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydib.blockdev.table import Slot, Table, sfdisk_script
from pydib.errors import BlockDeviceError, CommandFailed, ToolMissing
from pydib.events import Note, Reporter
from pydib.host.command import find_tool, run
from pydib.host.loop import add_partition, attached, drop_partitions, locked
from pydib.host.mapper import NO_UDEV, bound_to_us, has_device_mapper


@dataclass(frozen=True, kw_only=True)
class Disk:
    """An image attached as `device`, with its partition table."""

    image: Path
    device: str
    table: Table


class Unavailable(Exception):
    """A way to map partitions does not work here; the text says why."""


def write_table(disk: Disk) -> None:
    """Write the partition table. The kernel is not told: `map_partitions` does that.

    Raises:
        CommandFailed, ToolMissing: from sfdisk.
    """
    run("sfdisk", "--quiet", "--wipe=always", "--no-reread", "--no-tell-kernel", disk.device,
        stdin=sfdisk_script(disk.table).encode())


def map_partitions(disk: Disk, stack: ExitStack, report: Reporter, *, only: str = "") -> dict[str, str]:
    """Devices for the partitions of `disk`, by partition name, for as long as `stack` is open.

    The first way that works is taken: the kernel's own partitions (as partx makes them), device-mapper (kpartx),
    loop devices with an offset. Which one, and why not those before it, goes to `report`.

    Args:
        only: the one way to try, a key of `WAYS`; empty for all.

    Raises:
        BlockDeviceError: no way works.
    """
    refused: list[str] = []
    for name, way in {name: way for name, way in WAYS.items() if only in ("", name)}.items():
        try:
            with ExitStack() as attempt:
                found = way(disk, attempt)
                stack.push(attempt.pop_all())
        except Unavailable as reason:
            refused.append(f"{name}: {reason}")
            continue
        without = f" ({'; '.join(refused)})" if refused else ""
        report(Note(text=f"partitions of {disk.device} are mapped by {name}{without}"))
        return found
    raise BlockDeviceError("the partitions cannot be mapped to devices", where=f"{disk.device}: {'; '.join(refused)}",
                           hint="run on a kernel with device-mapper, or one that allows partitions on loop devices")


def _by_kpartx(disk: Disk, stack: ExitStack) -> dict[str, str]:
    if not has_device_mapper():
        raise Unavailable("this kernel has no device-mapper")
    if not find_tool("kpartx"):
        raise Unavailable("kpartx is not installed")
    stack.callback(_kpartx, "-d", disk.device)
    try:
        _kpartx("-a", disk.device)
    except CommandFailed as problem:
        raise Unavailable(f"kpartx ended with exit code {problem.code}") from None
    stack.enter_context(bound_to_us(disk.device))
    prefix = f"/dev/mapper/{Path(disk.device).name}p"
    return {slot.name: f"{prefix}{slot.number}" for slot in disk.table.partitions}


def _kpartx(action: str, device: str) -> None:
    run("kpartx", action, device, env={**os.environ, **NO_UDEV})


def _by_kernel(disk: Disk, stack: ExitStack) -> dict[str, str]:
    drop_partitions(disk.device)
    stack.callback(drop_partitions, disk.device)
    return {slot.name: _kernel_partition(disk, slot) for slot in disk.table.partitions}


def _kernel_partition(disk: Disk, slot: Slot) -> str:
    extent = disk.table.extent(slot)
    try:
        return add_partition(disk.device, slot.number, start_bytes=extent.offset_bytes, size_bytes=extent.size_bytes)
    except OSError as problem:
        raise Unavailable(f"the kernel refuses partitions on {disk.device}: {problem.strerror}") from None


def _by_offset(disk: Disk, stack: ExitStack) -> dict[str, str]:
    found = {}
    for slot in disk.table.partitions:
        extent = disk.table.extent(slot)
        try:
            found[slot.name] = stack.enter_context(
                attached(disk.image, sector_bytes=disk.table.sector_bytes, offset_bytes=extent.offset_bytes,
                         size_bytes=extent.size_bytes))
        except (BlockDeviceError, ToolMissing) as problem:
            raise Unavailable(problem.what) from None
    return found


WAYS: Mapping[str, Callable[[Disk, ExitStack], dict[str, str]]] = {
    "partx": _by_kernel, "kpartx": _by_kpartx, "loop": _by_offset,
}
"""In the order in which they are tried. The kernel drops its own partitions together with the loop device when a
build is killed; maps of kpartx have to be told to go, so it comes second."""


def partition_disk(disk: Disk, stack: ExitStack, report: Reporter, *, only: str = "") -> dict[str, str]:
    """Write the table of `disk` and map its partitions, with udev kept away from the device meanwhile and after.

    Raises:
        CommandFailed, ToolMissing, BlockDeviceError: as `write_table` and `map_partitions`.
    """
    stack.enter_context(locked(disk.device))
    write_table(disk)
    return map_partitions(disk, stack, report, only=only)
