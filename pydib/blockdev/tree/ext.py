"""ext2, ext3 and ext4 from a tree, written at their place in the image file (mke2fs(8), debugfs(8)).

`mke2fs -d` keeps owners, modes, hard links, devices, holes, extended attributes, capabilities and ACLs. What it does
not keep is put right afterwards with debugfs: the root folder's owner, mode and times, and when files
were changed, to the nanosecond and beyond 2038 (but for paths with a line break, whose times are kept to the second).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydib.blockdev.filesystem import mkfs_command
from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.table import Extent
from pydib.errors import BlockDeviceError, CommandFailed
from pydib.host.command import run
from pydib.sizes import KIB

_FULL = ("Could not allocate", "No free space", "No space left")
_NANOSECONDS = 1_000_000_000
_SMALL_INODE = "128"
_BREAKS = {"\n", "\r"}
_HARMLESS = re.compile(r"debugfs: sif |debugfs \d")


def make_ext(node: Mkfs, image: Path, extent: Extent, options: Sequence[str], tree: Path | None) -> None:
    """Make the filesystem `node` at `extent` of `image`, with what is in `tree`.

    Raises:
        BlockDeviceError: the tree does not fit.
        CommandFailed, ToolMissing: from mke2fs and debugfs.
    """
    try:
        run(*ext_command(node, image, extent, options, tree))
    except CommandFailed as problem:
        if any(words in problem.output for words in _FULL):
            raise BlockDeviceError(
                f"the tree does not fit into the filesystem {node.name}: {_last_line(problem.output)}",
                where=node.where, hint="the image is too small for the tree: give --image-size (GiB) or "
                                       "--image-extra-size (MiB)") from None
        raise
    if tree is not None:
        _correct(node, f"{image}?offset={extent.offset_bytes}",
                 corrections(tree, nanoseconds=_SMALL_INODE not in options))


def _correct(node: Mkfs, filesystem: str, lines: Iterable[str]) -> None:
    """Let debugfs carry out `lines`. Its exit code is always 0: what it says beside its name and the lines is an error.
    """
    script = "".join(f"{line}\n" for line in lines)
    told = run("debugfs", "-w", "-f", "-", filesystem, stdin=script.encode("utf-8", "surrogateescape"),
               with_stderr=True)
    wrong = [line for line in told.split("\n") if line.strip() and not _HARMLESS.match(line)]
    if wrong:
        raise BlockDeviceError(f"debugfs could not finish the filesystem {node.name}: {wrong[0]}", where=node.where,
                               hint="build with --assemble device")


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or [""])[-1]


def ext_command(node: Mkfs, image: Path, extent: Extent, options: Sequence[str], tree: Path | None
                ) -> tuple[str, ...]:
    """The command of device mode, with the tree and the place in the file.

    >>> ext_command(Mkfs(name="m", base="b", type="ext4", label="x"), Path("image0.raw"),
    ...             Extent(offset_bytes=1048576, size_bytes=8388608), ["-E", "resize=9"], Path("/tree"))[1:-2]
    ('-d', '/tree', '-E', 'resize=9,offset=1048576', '-L', 'x', '-q')
    """
    filled = ("-d", str(tree)) if tree is not None else ()
    at = [f"offset={extent.offset_bytes}"] if extent.offset_bytes else []
    command = mkfs_command(node, str(image), (*filled, *_with_extended(options, at)))
    return (*command, f"{extent.size_bytes // KIB}k")


def _with_extended(options: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """`options` with one word of extended options: of several -E, mke2fs takes only the last."""
    words = iter(options)
    kept: list[str] = []
    extended: list[str] = []
    for word in words:
        if word == "-E":
            extended.append(next(words, ""))
        elif word.startswith("-E"):
            extended.append(word.removeprefix("-E"))
        else:
            kept.append(word)
    extended = [*extended[-1:], *more]
    return (*kept, *(("-E", ",".join(extended)) if extended else ()))


def corrections(tree: Path, *, nanoseconds: bool = True) -> Iterator[str]:
    """Lines for debugfs: what mke2fs did not take over.

    Args:
        nanoseconds: whether inodes have room for more than seconds.
    """
    top = tree.stat()
    yield f"sif / mode 0{top.st_mode:o}"
    yield f"sif / uid {top.st_uid}"
    yield f"sif / gid {top.st_gid}"
    for field, moment in (("atime", top.st_atime_ns), ("mtime", top.st_mtime_ns)):
        yield f"sif / {field} @{moment // _NANOSECONDS & 0xFFFFFFFF}"
    if nanoseconds:
        yield from _times("/", top)
        yield from _times_below(str(tree), "")


def _times_below(folder: str, inside: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        path = f"{inside}/{entry.name}"
        if not _BREAKS & set(path):  # debugfs reads lines
            yield from _times(path, entry.stat(follow_symlinks=False))
        if entry.is_dir(follow_symlinks=False):
            yield from _times_below(entry.path, path)


def _times(path: str, found: os.stat_result) -> Iterator[str]:
    """The second word of a time in ext4 (ext4's inode timestamps): two bits of epoch, thirty of nanoseconds. The last
    access is kept to the second: most files have been read during the build, and nobody asks when exactly."""
    quoted = path.replace('"', '""')
    for field, moment in (("atime", found.st_atime_ns // _NANOSECONDS * _NANOSECONDS), ("mtime", found.st_mtime_ns)):
        seconds, nanoseconds = divmod(moment, _NANOSECONDS)
        low = (seconds + 2**31) % 2**32 - 2**31
        extra = nanoseconds << 2 | (seconds - low) >> 32 & 3
        if extra:
            yield f'sif "{quoted}" {field}_extra 0x{extra:x}'
