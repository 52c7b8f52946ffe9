"""Putting a filesystem that was made in a file of its own at its place in the image file."""

from __future__ import annotations

import os
from pathlib import Path

from pydib.errors import BlockDeviceError

_CHUNK_BYTES = 1 << 20
_ZEROS = bytes(_CHUNK_BYTES)


def place(source: Path, image: Path, offset_bytes: int) -> None:
    """Copy the data of `source` into `image` from byte `offset_bytes` on, where the image has zeros. Holes stay holes,
    and large stretches of zeros become holes.

    Raises:
        BlockDeviceError: the disk is full, or cannot be written.
    """
    try:
        with source.open("rb") as reader, image.open("r+b") as writer:
            for start, end in _data(reader.fileno()):
                _copy(reader.fileno(), writer.fileno(), start, end, offset_bytes)
    except OSError as problem:
        raise BlockDeviceError(f"the image file cannot be written: {problem.strerror}", where=str(image),
                               hint="make room, or set TMPDIR to a disk with more of it") from None


def _data(handle: int) -> list[tuple[int, int]]:
    """Where the file has data: pairs of first byte and end."""
    size, found, end = os.fstat(handle).st_size, [], 0
    while end < size:
        try:
            start = os.lseek(handle, end, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            break
        end = os.lseek(handle, start, os.SEEK_HOLE)
        found.append((start, end))
    return found


def _copy(source: int, target: int, start: int, end: int, offset_bytes: int) -> None:
    while start < end:
        chunk = os.pread(source, min(_CHUNK_BYTES, end - start), start)
        if not chunk:
            return
        written = len(chunk) if chunk == _ZEROS[:len(chunk)] else 0
        while written < len(chunk):
            written += os.pwrite(target, chunk[written:], start + offset_bytes + written)
        start += len(chunk)
