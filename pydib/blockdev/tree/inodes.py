"""What debugfs(8) cannot do, or not fast enough, to an ext2, ext3 or ext4 that was just made: the times of all inodes,
set at once in its inode tables; and copies of the superblock that do not tell how much was written while it was made.

debugfs sets one field of one inode a command, which takes longer than making the filesystem, and fields of the first
superblock only. What is where is asked of dumpe2fs(8); the fields are those of Linux' Documentation/filesystems/ext4,
inodes.rst and super.rst. The checksum of an inode is crc32c over the filesystem's seed, the inode's number and
generation, and the inode with the checksum's own bytes zero; that of a superblock is crc32c of all before it
(checksums.rst).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from crc32c import crc32c

_ROOT_INODE, _FIRST_INODE = 2, 11
"""The root folder, and the first inode that is not the filesystem's own."""
_FACT = r"^{}:[ \t]+(.*)$"
_COPY = re.compile(r"^  Backup superblock at (\d+),", re.MULTILINE)
_TABLE = re.compile(r"^  Inode table at (\d+)-", re.MULTILINE)
_FREE = re.compile(r"^  Free inodes: (.*)$", re.MULTILINE)
_TIMES, _TIMES_AT = struct.Struct("<IIi"), 8
"""Last access, change of the inode, change of the content; and where they begin in an inode."""
_ALL_ONES = 0xFFFFFFFF
_GENERATION, _LOW, _EXTRA, _HIGH = 100, 124, 128, 130
"""Where they are in an inode: its generation, the halves of its checksum, and the size of what is behind byte 128."""
_OLD_SIZE = 128
_SUPERBLOCK_BYTES, _WRITTEN, _SUM_AT = 1024, slice(0x178, 0x180), 0x3FC
"""Of a superblock: its size, where it has the KiB ever written, and where its checksum."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What dumpe2fs says. `tables` are blocks, one for each group, `copies` those of the superblock; `free` ranges of
    inodes, both ends included; `seed` is that of the checksums, None where there are none."""

    block_bytes: int
    inode_bytes: int
    inodes_in_group: int
    count: int
    tables: tuple[int, ...]
    copies: tuple[int, ...]
    free: tuple[tuple[int, int], ...]
    seed: int | None

    def used(self) -> Iterator[range]:
        """Stretches of inodes that are used."""
        begin = 1
        for first, last in [*sorted(self.free), (self.count + 1, self.count)]:
            if begin < first:
                yield range(begin, first)
            begin = last + 1


def read_told(text: str) -> Told:
    """What is to be known of a filesystem, from the output of dumpe2fs in English.

    Raises:
        ValueError: something of it is not there.
    """
    def fact(name: str) -> str:
        found = re.search(_FACT.format(re.escape(name)), text, re.MULTILINE)
        return found[1] if found else ""

    features = fact("Filesystem features").split()
    seed = None
    if "metadata_csum" in features:
        given = fact("Checksum seed")
        seed = int(given, 16) if given else _going_on(_ALL_ONES, UUID(fact("Filesystem UUID")).bytes)
    free = tuple((int(part.partition("-")[0]), int(part.rpartition("-")[2]))
                 for line in _FREE.findall(text) for part in line.split(", ") if part.strip())
    return Told(block_bytes=int(fact("Block size")), inode_bytes=int(fact("Inode size")),
                inodes_in_group=int(fact("Inodes per group")), count=int(fact("Inode count")),
                tables=tuple(map(int, _TABLE.findall(text))),
                copies=tuple(map(int, _COPY.findall(text))), free=free, seed=seed)


def _going_on(crc: int, data: bytes | bytearray) -> int:
    """crc32c as ext4 uses it, without the inversions at both ends."""
    return crc32c(data, crc ^ _ALL_ONES) ^ _ALL_ONES


def set_times(image: Path, offset_bytes: int, told: Told, moment: int) -> None:
    """Let all used inodes be accessed and changed at `moment`, in seconds since 1970, and their content be changed
    then at the latest.

    Args:
        image: the file that holds the filesystem, at `offset_bytes`.

    Raises:
        OSError: it cannot be read or written.
    """
    with image.open("r+b", buffering=0) as file:
        for stretch in told.used():
            for begin, end in _in_groups(stretch, told.inodes_in_group):
                group, first = divmod(begin - 1, told.inodes_in_group)
                place = offset_bytes + told.tables[group] * told.block_bytes + first * told.inode_bytes
                inodes = bytearray(os.pread(file.fileno(), (end - begin) * told.inode_bytes, place))
                _set_in(inodes, begin, told, moment)
                os.pwrite(file.fileno(), inodes, place)


def forget_written(image: Path, offset_bytes: int, told: Told) -> None:
    """Let no copy of the superblock tell how much mke2fs has written: that follows from how the files that it read lay
    on their disk.

    Args:
        image: the file that holds the filesystem, at `offset_bytes`.

    Raises:
        OSError: it cannot be read or written.
    """
    with image.open("r+b", buffering=0) as file:
        for block in told.copies:
            place = offset_bytes + block * told.block_bytes
            copy = bytearray(os.pread(file.fileno(), _SUPERBLOCK_BYTES, place))
            copy[_WRITTEN] = bytes(8)
            if told.seed is not None:
                struct.pack_into("<I", copy, _SUM_AT, _going_on(_ALL_ONES, copy[:_SUM_AT]))
            os.pwrite(file.fileno(), copy, place)


def _in_groups(stretch: range, in_group: int) -> Iterator[tuple[int, int]]:
    begin = stretch.start
    while begin < stretch.stop:
        end = min(stretch.stop, ((begin - 1) // in_group + 1) * in_group + 1)
        yield begin, end
        begin = end


def _set_in(inodes: bytearray, first: int, told: Told, moment: int) -> None:
    checksum = _checksum(told.seed, told.inode_bytes) if told.seed is not None else None
    for place in range(0, len(inodes), told.inode_bytes):
        number = first + place // told.inode_bytes
        if number != _ROOT_INODE and number < _FIRST_INODE:
            continue
        _, _, changed = _TIMES.unpack_from(inodes, place + _TIMES_AT)
        _TIMES.pack_into(inodes, place + _TIMES_AT, moment & _ALL_ONES, moment & _ALL_ONES, min(changed, moment))
        if checksum is not None:
            checksum(inodes, place, number)


def _checksum(seed: int, size: int) -> Callable[[bytearray, int, int], None]:
    def put(inodes: bytearray, place: int, number: int) -> None:
        long = size > _OLD_SIZE and struct.unpack_from("<H", inodes, place + _EXTRA)[0] >= _HIGH + 2 - _OLD_SIZE
        struct.pack_into("<H", inodes, place + _LOW, 0)
        if long:
            struct.pack_into("<H", inodes, place + _HIGH, 0)
        generation = bytes(inodes[place + _GENERATION:place + _GENERATION + 4])
        crc = _going_on(_going_on(seed, struct.pack("<I", number) + generation), inodes[place:place + size])
        struct.pack_into("<H", inodes, place + _LOW, crc & 0xFFFF)
        if long:
            struct.pack_into("<H", inodes, place + _HIGH, crc >> 16)
    return put
