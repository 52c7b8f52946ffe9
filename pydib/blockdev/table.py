"""Where partitions lie: MBR and GPT, computed in sectors without any device (contract C-216 to C-218). Pure.

Both modes of assembly use this: device mode hands the table to sfdisk and the kernel, tree mode makes filesystems at
the same offsets in the image file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydib.blockdev.nodes import Partition, Partitioning, TableLabel
from pydib.errors import BlockDeviceConfigError
from pydib.sizes import MIB, human_size, parse_size

SlotKind = Literal["primary", "extended", "logical", "gpt"]
FIRST_LOGICAL = 5
GPT_RESERVED_BYTES = 2 * MIB
"""What a GPT keeps for itself: one MiB at each end."""
MBR_SECTORS = 2**32
EXTENDED_TYPE = "0f"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One place in a table. `start` and `sectors` count sectors of the table's size; the extended one has no name."""

    name: str
    number: int
    start: int
    sectors: int
    type: str
    bootable: bool = False
    kind: SlotKind = "primary"
    identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Where something lies in its image: bytes from the beginning, and how many."""

    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """A whole partition table."""

    label: TableLabel
    sector_bytes: int
    disk_bytes: int
    slots: tuple[Slot, ...]
    identifier: str = ""

    @property
    def partitions(self) -> tuple[Slot, ...]:
        """The slots that hold something: all but the extended partition."""
        return tuple(slot for slot in self.slots if slot.kind != "extended")

    def extent(self, slot: Slot) -> Extent:
        """Where `slot` lies, in bytes."""
        return Extent(offset_bytes=slot.start * self.sector_bytes, size_bytes=slot.sectors * self.sector_bytes)


def lay_out(node: Partitioning, *, disk_bytes: int, sector_bytes: int) -> Table:
    """The table of `node` on a disk of `disk_bytes`, agreeing with what DIB 3.43 writes.

    Raises:
        BlockDeviceConfigError: a partition does not fit, or would be empty.
    """
    place = _lay_out_mbr if node.label == "mbr" else _lay_out_gpt
    slots = place(node, disk_bytes // sector_bytes, sector_bytes)
    return Table(label=node.label, sector_bytes=sector_bytes, disk_bytes=disk_bytes, slots=tuple(slots),
                 identifier=node.identifier)


def sfdisk_script(table: Table) -> str:
    """The table as sfdisk(8) reads it. Identifiers that are not given are left for sfdisk to make up."""
    named = [f"label-id: {'0x' if table.label == 'mbr' else ''}{table.identifier}"] if table.identifier else []
    lines = [f"label: {'dos' if table.label == 'mbr' else 'gpt'}", *named, "unit: sectors", ""]
    return "\n".join([*lines, *(_sfdisk_line(slot) for slot in table.slots)]) + "\n"


def _sfdisk_line(slot: Slot) -> str:
    words = [f"start={slot.start}", f"size={slot.sectors}", f"type={slot.type}"]
    if slot.kind == "gpt":
        words.append(f'name="{slot.name}"')
        words += [f"uuid={slot.identifier}"] if slot.identifier else []
    elif slot.bootable:
        words.append("bootable")
    return f"{slot.number} : {', '.join(words)}"


def _lay_out_mbr(node: Partitioning, disk: int, sector_bytes: int) -> list[Slot]:
    """All numbers in sectors.

    Every partition begins at the next multiple of the alignment. A percentage is of what is left behind that point,
    less one alignment. A logical partition lies one alignment behind its own partition record; the extended
    partition around them reaches to the end of the disk.
    """
    align = _mbr_align(node, disk, sector_bytes)
    slots: list[Slot] = []
    end, logical = 1, FIRST_LOGICAL
    for partition in node.partitions:
        start = -(-end // align) * align
        free = disk - start - align
        if not partition.primary:
            if logical == FIRST_LOGICAL:
                slots.append(Slot(name="", number=len(slots) + 1, start=start, sectors=disk - start,
                                  type=EXTENDED_TYPE, kind="extended"))
            start += align
        sectors = parse_size(partition.size, whole=max(free, 0) * sector_bytes) // sector_bytes
        _check_fits(partition, sectors * sector_bytes, (disk - start) * sector_bytes)
        number = len(slots) + 1 if partition.primary else logical
        logical += not partition.primary
        slots.append(Slot(name=partition.name, number=number, start=start, sectors=sectors, type=partition.type,
                          bootable=partition.bootable, kind="primary" if partition.primary else "logical"))
        end = start + sectors
    return slots


def _mbr_align(node: Partitioning, disk: int, sector_bytes: int) -> int:
    """The alignment in sectors."""
    if disk >= MBR_SECTORS:
        raise BlockDeviceConfigError(f"a disk of {human_size(disk * sector_bytes)} is too large for an mbr",
                                     where=node.where, hint="use label: gpt")
    if node.align_bytes % sector_bytes:
        raise BlockDeviceConfigError(f"the alignment of {node.align_bytes} bytes is not a multiple of the sector size",
                                     where=node.where, hint=f"sectors have {sector_bytes} bytes: use align: 1MiB")
    return node.align_bytes // sector_bytes


def _lay_out_gpt(node: Partitioning, disk: int, sector_bytes: int) -> list[Slot]:
    """Partitions follow one another from the first MiB on, each a whole number of MiB long (rounded down).

    A percentage is of what is left after the sizes asked for, not after the rounded ones (as DIB).
    """
    left = disk * sector_bytes - GPT_RESERVED_BYTES
    start_mib, per_mib = 1, MIB // sector_bytes
    slots: list[Slot] = []
    for number, partition in enumerate(node.partitions, 1):
        size = parse_size(partition.size, whole=max(left, 0))
        _check_fits(partition, size, left)
        mib = max(size // MIB, 1)
        slots.append(Slot(name=partition.name, number=number, start=start_mib * per_mib, sectors=mib * per_mib,
                          type=partition.type, bootable=partition.bootable, kind="gpt",
                          identifier=partition.identifier))
        start_mib += mib
        left -= max(size, MIB)
    return slots


def _check_fits(partition: Partition, size: int, room: int) -> None:
    """All in bytes."""
    if size <= 0:
        raise BlockDeviceConfigError(f"partition {partition.name} would be empty: {partition.size} of what is left",
                                     where=partition.where, hint="make it or the image larger (--image-size GiB)")
    if size > room:
        raise BlockDeviceConfigError(
            f"partition {partition.name} needs {human_size(size)}, but only {human_size(max(room, 0))} are left",
            where=partition.where, hint="make the image larger (--image-size GiB), or the partition smaller")
