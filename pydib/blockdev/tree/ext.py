"""ext2, ext3 and ext4 from a tree, written at their place in the image file (mke2fs(8), debugfs(8)).

`mke2fs -d` keeps owners, modes, hard links, devices, holes, extended attributes, capabilities and ACLs. What it does
not keep is put right afterwards with debugfs: the root folder's owner, mode and times, and when files
were changed, to the nanosecond and beyond 2038 (but for paths with a line break, whose times are kept to the second).

A filesystem that is made for a moment tells nothing of the build's own times: no file was changed after that moment,
and all others of its times are that moment (inodes.py). (mke2fs takes a tree in the order of names, so the rest follows
from it.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType

from pydib.blockdev.filesystem import made_at, mkfs_command, with_extended
from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.table import Extent
from pydib.blockdev.tree.inodes import forget_written, read_told, set_times
from pydib.errors import BlockDeviceError, CommandFailed
from pydib.host.command import run
from pydib.sizes import KIB

_FULL = ("Could not allocate", "No free space", "No space left")
_NANOSECONDS = 1_000_000_000
_SMALL_INODE = "128"
_BREAKS = {"\n", "\r"}
_IN_ONE_WORD = 2**31 * _NANOSECONDS
"""Times from then on (2038) take the second word of an inode's time."""
_NOTHING_WRITTEN = "ssv kbytes_written 0"
"""How much was written so far says how the tools went about it."""
NOTHING: Mapping[str, str] = MappingProxyType({})
_HARMLESS = re.compile(r"debugfs: (sif|ssv) |debugfs \d")


def make_ext(node: Mkfs, image: Path, extent: Extent, options: Sequence[str], tree: Path | None, *,
             moment: int | None = None) -> None:
    """Make the filesystem `node` at `extent` of `image`, with what is in `tree`.

    Args:
        moment: the time, in seconds since 1970, at which all of it is made; None keeps the times that there are.

    Raises:
        BlockDeviceError: the tree does not fit.
        CommandFailed, ToolMissing: from mke2fs and debugfs.
    """
    if tree is not None and moment is not None:
        _age_odd_names(tree, moment)
    try:
        run(*ext_command(node, image, extent, options, tree), more_env=made_at(moment))
    except CommandFailed as problem:
        if any(words in problem.output for words in _FULL):
            raise BlockDeviceError(
                f"the tree does not fit into the filesystem {node.name}: {_last_line(problem.output)}",
                where=node.where, hint="the image is too small for the tree: give --image-size (GiB) or "
                                       "--image-extra-size (MiB)") from None
        raise
    filesystem = f"{image}?offset={extent.offset_bytes}"
    lines: list[Iterable[str]] = []
    if moment is not None:
        _normalise(node, image, extent, run("dumpe2fs", filesystem), moment)
        lines.append([_NOTHING_WRITTEN])
    if tree is not None:
        lines.append(corrections(tree, nanoseconds=_SMALL_INODE not in options, moment=moment))
    if lines:
        _correct(node, filesystem, chain.from_iterable(lines), env=made_at(moment))


def _normalise(node: Mkfs, image: Path, extent: Extent, told: str, moment: int) -> None:
    try:
        facts = read_told(told)
        set_times(image, extent.offset_bytes, facts, moment)
        forget_written(image, extent.offset_bytes, facts)
    except (OSError, ValueError) as problem:
        raise BlockDeviceError(f"the filesystem {node.name} could not be given its times: {problem}", where=node.where,
                               hint="build with --assemble device") from None


def _age_odd_names(tree: Path, moment: int) -> None:
    """debugfs reads lines, so paths with a line break get their time in the tree."""
    for folder, folders, names in os.walk(tree):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            if _BREAKS & set(path) and os.lstat(path).st_mtime_ns > moment * _NANOSECONDS:
                os.utime(path, (moment, moment), follow_symlinks=False)


def _correct(node: Mkfs, filesystem: str, lines: Iterable[str], *, env: Mapping[str, str] = NOTHING) -> None:
    """Let debugfs carry out `lines`. Its exit code is always 0: what it says beside its name and the lines is an error.

    Lines and answers, several for each file of the tree, go through files: memory does not grow with the tree.
    """
    with TemporaryFile() as script, TemporaryFile() as told:
        script.writelines(f"{line}\n".encode("utf-8", "surrogateescape") for line in lines)
        script.seek(0)
        run("debugfs", "-w", "-f", "-", filesystem, stdin=script, into=told, more_env=env)
        told.seek(0)
        for answer in told:
            line = answer.decode("utf-8", "replace").rstrip("\n")
            if line.strip() and not _HARMLESS.match(line):
                raise BlockDeviceError(f"debugfs could not finish the filesystem {node.name}: {line}",
                                       where=node.where, hint="build with --assemble device")


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
    command = mkfs_command(node, str(image), (*filled, *with_extended(options, at)))
    return (*command, f"{extent.size_bytes // KIB}k")


def corrections(tree: Path, *, nanoseconds: bool = True, moment: int | None = None) -> Iterator[str]:
    """Lines for debugfs: what mke2fs did not take over.

    Args:
        nanoseconds: whether inodes have room for more than seconds.
        moment: files were changed then at the latest, and the rest of their times is somebody else's; None: all times
            are those in the tree.
    """
    top = tree.stat()
    yield f"sif / mode 0{top.st_mode:o}"
    yield f"sif / uid {top.st_uid}"
    yield f"sif / gid {top.st_gid}"
    if moment is None:
        yield f"sif / atime @{top.st_atime_ns // _NANOSECONDS & 0xFFFFFFFF}"
    changed = top.st_mtime_ns // _NANOSECONDS
    yield f"sif / mtime @{(changed if moment is None else min(changed, moment)) & 0xFFFFFFFF}"
    if nanoseconds or moment is not None:
        times = _Times(moment, nanoseconds=nanoseconds)
        yield from times.of("/", top)
        yield from times.below(str(tree), "")


class _Times:
    """Lines for the times of files: where they are later than `moment`, or in nanoseconds."""

    def __init__(self, moment: int | None, *, nanoseconds: bool) -> None:
        self._moment, self._nanoseconds = moment, nanoseconds
        self._latest = moment * _NANOSECONDS if moment is not None else None

    def below(self, folder: str, inside: str) -> Iterator[str]:
        """All that is in `folder`, which is `inside` of the tree."""
        for entry in os.scandir(folder):
            path = f"{inside}/{entry.name}"
            if not _BREAKS & set(path):  # debugfs reads lines
                yield from self.of(path, entry.stat(follow_symlinks=False))
            if entry.is_dir(follow_symlinks=False):
                yield from self.below(entry.path, path)

    def of(self, path: str, found: os.stat_result) -> Iterator[str]:
        """One file. The last access is kept to the second: most files have been read during the build, and nobody asks
        when exactly."""
        if self._latest is not None and found.st_mtime_ns > self._latest:
            if found.st_mtime_ns >= _IN_ONE_WORD:  # the others have it already: see inodes.py
                yield f'sif "{_quoted(path)}" mtime @{self._moment}'
        elif self._nanoseconds:
            yield from _second_word(path, "mtime", found.st_mtime_ns)
        if self._latest is None and self._nanoseconds:
            yield from _second_word(path, "atime", found.st_atime_ns // _NANOSECONDS * _NANOSECONDS)


def _quoted(path: str) -> str:
    return path.replace('"', '""')


def _second_word(path: str, field: str, moment_ns: int) -> Iterator[str]:
    """The second word of a time in ext4 (ext4's inode timestamps): two bits of epoch, thirty of nanoseconds."""
    seconds, nanoseconds = divmod(moment_ns, _NANOSECONDS)
    low = (seconds + 2**31) % 2**32 - 2**31
    extra = nanoseconds << 2 | (seconds - low) >> 32 & 3
    if extra:
        yield f'sif "{_quoted(path)}" {field}_extra 0x{extra:x}'
