"""The content of a layer as a digest, and as a cheap signature that tells whether it may have been touched.

A layer is the upper directory of an overlay: files that a script wrote or changed, whiteouts (character devices 0:0)
for what it removed, and marks in extended attributes. The digest covers all that can be seen of these in the tree:
names, types, modes, owners, link targets, device numbers, contents, holes left aside, extended attributes, which names
are hard links of one file, and times of change, as far as these say more than "while the script ran".
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

WHEN_IT_RAN = "now"
_KERNELS_OWN = ("origin", "impure", "nlink", "uuid", "upper")
"""Overlay's notes to itself; they say nothing about the tree."""
_MARK = ("trusted.overlay.", "user.overlay.")
_ALL_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Window:
    """From when until when a script ran, in nanoseconds since 1970; by `clock.after`, so that no file from before
    falls into it."""

    begun_ns: int
    ended_ns: int

    def tells(self, mtime_ns: int) -> str:
        """A time as the digest has it: the time itself, or that it is from when the script ran."""
        return WHEN_IT_RAN if self.begun_ns <= mtime_ns <= self.ended_ns else str(mtime_ns)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a layer holds. `signature` changes when anything in it is touched; `size_bytes` is what it takes on disk."""

    digest: str
    signature: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class _Item:
    name: bytes
    path: str
    info: os.stat_result


def content_of(upper: Path, window: Window) -> Content:
    """The content of the layer in the directory `upper`.

    Raises:
        OSError: it cannot be read.
    """
    items = list(_items(upper))
    sums = _file_sums(items)
    total = hashlib.sha256()
    first_name: dict[tuple[int, int], bytes] = {}
    for item in items:
        for part in _facts(item, window, sums, first_name):
            total.update(b"%d:" % len(part) + part)
        total.update(b"\n")
    seen: set[int] = set()
    size = 0
    for item in items:
        if item.info.st_ino not in seen:
            seen.add(item.info.st_ino)
            size += item.info.st_blocks * 512
    signature = _signature((item.name, item.info) for item in items)
    return Content(digest=total.hexdigest(), signature=signature, files=len(items), size_bytes=size)


def signature_of(upper: Path) -> str:
    """Sizes, times and numbers of all files in `upper`: the same as long as nobody touched any. Cheap: reads no file.

    Raises:
        OSError: it cannot be read.
    """
    top = os.fsencode(upper)
    return _signature(chain([(b"", os.lstat(top))], ((name, info) for name, _, info in _below(top))))


def _signature(items: Iterable[tuple[bytes, os.stat_result]]) -> str:
    lines = []
    for name, info in items:
        ctime = info.st_ctime_ns if name else 0  # the folder itself is renamed when it is taken into the store
        lines.append(b"%d:%b %d %d %d %d %d %d %d\n" % (
            len(name), name, info.st_mode, info.st_uid, info.st_gid, info.st_ino,
            info.st_size if stat.S_ISREG(info.st_mode) else 0, info.st_mtime_ns, ctime))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _items(upper: Path) -> Iterator[_Item]:
    """The folder itself, then everything in it, in an order that never changes."""
    top = os.fsencode(upper)
    yield _Item(b"", os.fsdecode(top), os.lstat(top))
    for name, path, info in _below(top):
        yield _Item(name, os.fsdecode(path), info)


def _below(top: bytes) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
    """Name from `top` on, path, and stat(2) of everything in it, each folder before what is in it, sorted."""
    waiting: list[tuple[bytes, bytes, os.stat_result, bool]] = _entries(top, b"")
    while waiting:
        name, path, info, is_folder = waiting.pop()
        yield name, path, info
        if is_folder:
            waiting += _entries(path, name + b"/")


def _entries(folder: bytes, prefix: bytes) -> list[tuple[bytes, bytes, os.stat_result, bool]]:
    """What is in the folder, the last name first."""
    with os.scandir(folder) as entries:
        found = [(prefix + entry.name, entry.path, entry.stat(follow_symlinks=False),
                  entry.is_dir(follow_symlinks=False)) for entry in entries]
    found.sort(key=itemgetter(0), reverse=True)
    return found


def _file_sums(items: list[_Item]) -> dict[int, bytes]:
    """The digest of each regular file by its inode; of hard links once."""
    files = {item.info.st_ino: item.path for item in items if stat.S_ISREG(item.info.st_mode) and item.info.st_size}
    if len(files) <= _ALL_AT_ONCE:
        return {inode: _sum(path) for inode, path in files.items()}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip(files, pool.map(_sum, files.values(), chunksize=_ALL_AT_ONCE), strict=True))


def _sum(path: str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        data = stream.read(1 << 18)
        if len(data) < 1 << 18:
            return hashlib.sha256(data).digest()
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").digest()


def _facts(item: _Item, window: Window, sums: dict[int, bytes], first_name: dict[tuple[int, int], bytes]
           ) -> Iterator[bytes]:
    info = item.info
    yield item.name
    if is_whiteout(info):
        yield b"gone"
        return
    yield b"%o %d %d" % (info.st_mode, info.st_uid, info.st_gid)
    yield window.tells(info.st_mtime_ns).encode()
    if stat.S_ISREG(info.st_mode):
        yield b"%d " % info.st_size + sums.get(info.st_ino, b"")
        if info.st_nlink > 1:
            yield b"linked " + first_name.setdefault((info.st_dev, info.st_ino), item.name)
    elif stat.S_ISLNK(info.st_mode):
        yield os.fsencode(os.readlink(item.path))
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        yield b"%d" % info.st_rdev
    yield from (b"%b=%b" % pair for pair in attributes(item.path))


def is_whiteout(info: os.stat_result) -> bool:
    """Whether overlayfs reads this as "not there"."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def attributes(path: str | Path) -> list[tuple[bytes, bytes]]:
    """The extended attributes that count, sorted."""
    found = []
    for name in os.listxattr(path, follow_symlinks=False):
        mark = next((prefix for prefix in _MARK if name.startswith(prefix)), "")
        if mark and name[len(mark):] in _KERNELS_OWN:
            continue
        shown = "overlay." + name[len(mark):] if mark else name
        found.append((os.fsencode(shown), os.getxattr(path, name, follow_symlinks=False)))
    return sorted(found)
