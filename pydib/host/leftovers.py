"""What the kernel keeps although the build that made it is gone: loop devices, and what was made on top of them.

Loop devices of the engine let go of their file by themselves, but not while device-mapper uses them: mappings of
kpartx and volumes of LVM stay after a build was killed. They are found from below, by the file behind the loop device,
so that it does not matter who made them; losetup in a script leaves some, too.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import PydibError
from pydib.host.command import run
from pydib.host.loop import drop_partitions
from pydib.host.mapper import Map, maps_above

SYS_BLOCK = Path("/sys/class/block")
_LOOP_GET_STATUS64, _LOOP_CLR_FD = 0x4C05, 0x4C01
_INFO_BYTES = 232


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A loop device in use: the filesystem (its device number) and the inode of the file behind it."""

    name: str
    filesystem: int
    inode: int


def release(folders: Iterable[Path], filesystems: Collection[int], *,
            bound: Callable[[], Iterable[Bound]] | None = None) -> tuple[str, ...]:
    """Free every loop device whose file lies in one of `folders`, or on one of `filesystems`; gives what went.

    What cannot be freed stays, without an error: it is found again the next time.

    Args:
        folders: directories of a build that is over.
        filesystems: device numbers of filesystems in memory that only this build had.
        bound: tells the loop devices in use.
    """
    return tuple(gone for loop in _of_build(folders, filesystems, bound or loops_in_use) for gone in _free(loop.name))


def still_mapped(folders: Iterable[Path], filesystems: Collection[int]) -> tuple[Map, ...]:
    """The maps that stand on such loop devices: something has them open, such as a mounted filesystem."""
    return tuple(found for loop in _of_build(folders, filesystems, loops_in_use) for found in maps_above(loop.name))


def _of_build(folders: Iterable[Path], filesystems: Collection[int],
              bound: Callable[[], Iterable[Bound]]) -> Iterator[Bound]:
    used = list(bound())
    if used:
        files = set(_files(folders, {loop.filesystem for loop in used}))
        yield from (loop for loop in used if loop.filesystem in filesystems or (loop.filesystem, loop.inode) in files)


def loops_in_use() -> Iterator[Bound]:
    """The loop devices that have a file behind them, as far as we may look."""
    for place in sorted(SYS_BLOCK.glob("loop*/loop")):
        name = place.parent.name
        with suppress(OSError):
            handle = os.open(f"/dev/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                info = bytearray(_INFO_BYTES)
                fcntl.ioctl(handle, _LOOP_GET_STATUS64, info)
            finally:
                os.close(handle)
            filesystem, inode = struct.unpack_from("<2Q", info)
            yield Bound(name=name, filesystem=filesystem, inode=inode)


def _files(folders: Iterable[Path], filesystems: Collection[int]) -> Iterator[tuple[int, int]]:
    """The regular files in `folders`, where it lies on one of `filesystems` at all."""
    for folder in folders:
        with suppress(OSError):
            if folder.stat().st_dev in filesystems:
                yield from _files_below(str(folder))


def _files_below(top: str) -> Iterator[tuple[int, int]]:
    """As os.walk goes, which in Python 3.11 cannot go down a thousand folders."""
    folders = [top]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                with suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    yield info.st_dev, info.st_ino


def _free(loop: str) -> list[str]:
    """Take away the mappings that stand on the loop device, the highest first, then its partitions, then its file."""
    gone = []
    for device in (loop, *(path.name for path in sorted((SYS_BLOCK / loop).glob(f"{loop}p*")))):
        gone += _remove_holders(device)
    drop_partitions(f"/dev/{loop}")
    with suppress(OSError):
        handle = os.open(f"/dev/{loop}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(handle, _LOOP_CLR_FD)
            gone.append(f"/dev/{loop}")
        finally:
            os.close(handle)
    return gone


def _remove_holders(device: str) -> list[str]:
    gone = []
    for holder in sorted((SYS_BLOCK / device / "holders").glob("dm-*")):
        gone += _remove_holders(holder.name)
        with suppress(OSError, PydibError):
            name = (SYS_BLOCK / holder.name / "dm" / "name").read_text().strip()
            run("dmsetup", "remove", "--noudevsync", "--", name)
            gone.append(f"/dev/mapper/{name}")
    return gone
