"""Compressed qcow2, written by all cores and yet always the same: clusters are compressed by threads, and laid down in
their order (QEMU's docs/interop/qcow2.txt, version 3).

qemu-img either compresses on one core, or (`-W`) writes each cluster when it is ready: another file every time.
Compressed clusters lie one behind the other, wherever the bytes before end; what does not become smaller lies in a
cluster of its own; what is zero is left out. Tables come last, and the header when all is there.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from zlib_ng import zlib_ng

from pydib.errors import ImageError
from pydib.host import zstd

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
_AT_ONCE = 4
"""Clusters that one task compresses. A few tasks for each core are in memory."""
_ENTRIES = CLUSTER // 8
_COUNTS = CLUSTER // 2
"""Reference counts in a block: they have 16 bits."""
_COPIED, _COMPRESSED = 1 << 63, 1 << 62
_SECTORS_SHIFT = 62 - (CLUSTER_BITS - 8)
_ZSTD_IN_HEADER = 1 << 3
_WINDOW_BITS = -12
"""QEMU unpacks with a window of 4 KiB, and without zlib's own header."""
_LEVEL = 6
"""Of zlib-ng, whose 6 is not zlib's: three percent larger than qemu-img's, in two fifths of the time."""
_SECTOR = 512
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQIIB7x")
_ZEROS = bytes(CLUSTER)


def can_write(compression: str) -> bool:
    """Whether there is what it takes for clusters of that kind: zlib or zstd."""
    return compression == "zlib" or zstd.is_there()


def write_compressed(source: Path, target: Path, *, compression: str) -> None:
    """Make the compressed qcow2 `target` of the raw image `source`.

    Args:
        compression: zlib, or zstd, which QEMU 5.1 and later can read.

    Raises:
        ImageError: the disk is full, or a file cannot be read.
    """
    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            size = os.fstat(reader.fileno()).st_size
            disk = _Disk(writer.fileno(), size, zstd_inside=compression == "zstd")
            for number, packed, data in _packed(reader.fileno(), size, _packer(compression)):
                disk.add(number, packed, data)
            disk.finish()
    except OSError as problem:
        hint = f"make room on the disk of {target.parent}" if problem.errno == 28 else ""
        raise ImageError(f"the qcow2 image could not be made: {problem.strerror}", where=str(target),
                         hint=hint) from None


def _packer(compression: str) -> Callable[[bytes], bytes]:
    if compression == "zstd":
        return zstd.compress

    def deflated(data: bytes) -> bytes:
        packer = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _WINDOW_BITS, 9)
        return packer.compress(data) + packer.flush()
    return deflated


Cluster = tuple[int, bytes, bytes]
"""Number, compressed content, and content as it is: the smaller one, the other is empty."""


def _packed(source: int, size: int, pack: Callable[[bytes], bytes]) -> Iterator[Cluster]:
    """All clusters that are not zero, in their order."""
    def task(first: int) -> list[Cluster]:
        data = os.pread(source, _AT_ONCE * CLUSTER, first * CLUSTER)
        found = []
        for begin in range(0, len(data), CLUSTER):
            cluster = data[begin:begin + CLUSTER]
            if cluster != _ZEROS[:len(cluster)]:
                cluster = cluster.ljust(CLUSTER, b"\0")
                packed = pack(cluster)
                smaller = len(packed) < CLUSTER
                found.append((first + begin // CLUSTER, packed if smaller else b"", b"" if smaller else cluster))
        return found

    workers = os.cpu_count() or 1
    waiting: deque[Future[list[Cluster]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for first in _starts(source, size):
            waiting.append(pool.submit(task, first))
            if len(waiting) > 4 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _starts(source: int, size: int) -> Iterator[int]:
    """The first clusters of the stretches in which the file has data."""
    stretch, done, end = _AT_ONCE * CLUSTER, 0, 0
    while end < size:
        try:
            begin = os.lseek(source, end, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        end = os.lseek(source, begin, os.SEEK_HOLE)
        for place in range(max(done, begin // stretch * stretch), end, stretch):
            yield place // CLUSTER
            done = place + stretch


def _big_endian(numbers: array[int]) -> bytes:
    if sys.byteorder == "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


class _Disk:
    """The file on its way: content so far, and where each cluster lies.

    Args:
        writer: descriptor of the empty file.
        size: of the disk in bytes.
    """

    def __init__(self, writer: int, size: int, *, zstd_inside: bool) -> None:
        self._writer, self._size, self._zstd = writer, -(-size // _SECTOR) * _SECTOR, zstd_inside
        self._end = CLUSTER  # behind the header
        self._buffer = bytearray()
        self._begun = CLUSTER
        self._tables: dict[int, array[int]] = {}
        self._counts = array("H", [1])

    def add(self, number: int, packed: bytes, data: bytes) -> None:
        """Lay down the content of cluster `number`."""
        if packed:
            last = self._end + len(packed) - 1
            entry = _COMPRESSED | self._end | ((last >> 9) - (self._end >> 9)) << _SECTORS_SHIFT
            for cluster in range(self._end >> CLUSTER_BITS, (last >> CLUSTER_BITS) + 1):
                self._count(cluster)
            self._append(packed)
        else:
            entry = _COPIED | self._aligned(data)
        table, place = divmod(number, _ENTRIES)
        if table not in self._tables:
            self._tables[table] = array("Q", bytes(CLUSTER))
        self._tables[table][place] = entry

    def _count(self, cluster: int) -> None:
        missing = cluster + 1 - len(self._counts)
        if missing > 0:
            self._counts.frombytes(bytes(missing * self._counts.itemsize))
        self._counts[cluster] += 1

    def _append(self, data: bytes) -> None:
        self._buffer += data
        self._end += len(data)
        if len(self._buffer) >= 1 << 20:
            self._flush()

    def _flush(self) -> None:
        left = memoryview(self._buffer)
        while left:
            written = os.pwrite(self._writer, left, self._begun)
            self._begun += written
            left = left[written:]
        left.release()
        self._buffer = bytearray()

    def _aligned(self, data: bytes) -> int:
        """Lay down `data` in clusters of its own; gives its place."""
        self._append(bytes(-self._end % CLUSTER))
        place = self._end
        for cluster in range(place >> CLUSTER_BITS, (place + len(data) - 1 >> CLUSTER_BITS) + 1):
            self._count(cluster)
        self._append(data + bytes(-len(data) % CLUSTER))
        return place

    def finish(self) -> None:
        """Write the tables, and the header."""
        whole = -(-self._size // (CLUSTER * _ENTRIES))
        first_level = [0] * max(whole, 1)
        for number, table in sorted(self._tables.items()):
            first_level[number] = _COPIED | self._aligned(_big_endian(table))
        first_place = self._aligned(struct.pack(f">{len(first_level)}Q", *first_level))
        counts_place, counts_clusters = self._write_counts()
        self._append(bytes(-self._end % CLUSTER))
        self._flush()
        os.pwrite(self._writer, _HEADER.pack(
            b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, self._size, 0, len(first_level), first_place, counts_place,
            counts_clusters, 0, 0, _ZSTD_IN_HEADER if self._zstd else 0, 0, 0, 4, _HEADER.size, int(self._zstd)), 0)

    def _write_counts(self) -> tuple[int, int]:
        """Reference counts of all clusters, those of the blocks and of the table that hold them, too; gives place and
        clusters of the table."""
        used = -(-self._end // CLUSTER)
        blocks = table = 1
        while used + blocks + table > blocks * _COUNTS or blocks > table * _ENTRIES:
            blocks, table = -(-(used + blocks + table) // _COUNTS), -(-blocks // _ENTRIES)
        for cluster in range(used, used + blocks + table):
            self._count(cluster)
        self._counts.frombytes(bytes((blocks * _COUNTS - len(self._counts)) * self._counts.itemsize))
        self._append(bytes(-self._end % CLUSTER))
        place = self._end
        self._append(_big_endian(self._counts))
        table_place = self._end
        offsets = struct.pack(f">{blocks}Q", *(place + number * CLUSTER for number in range(blocks)))
        self._append(offsets.ljust(table * CLUSTER, b"\0"))
        return table_place, table
