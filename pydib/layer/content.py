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
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

WHEN_IT_RAN = "now"
_KERNELS_OWN = ("origin", "impure", "nlink", "uuid", "upper")
"""Overlay's notes to itself; they say nothing about the tree."""
_MARK = ("trusted.overlay.", "user.overlay.")
_SHOWN_MARK = b"overlay."
_ALL_AT_ONCE = 64
_ONE_READ = 1 << 18
"""Files with fewer bytes are read at once."""


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
    """What a layer holds. `signature` changes when anything in it is touched; `size_bytes` is what it takes on disk;
    `marked` is the first file in it that overlayfs reads as a note of its own (nothing of the kernel's, which see
    _KERNELS_OWN), and empty when there is none."""

    digest: str
    signature: str
    files: int
    size_bytes: int
    marked: str


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
    total, signature = hashlib.sha256(), hashlib.sha256()
    first_name: dict[tuple[int, int], bytes] = {}
    files = size = 0
    marked = ""
    for item, digest in _summed(_items(upper)):
        linked_before = _is_linked(item.info) and _identity(item.info) in first_name
        noted = [] if is_whiteout(item.info) else attributes(item.path)
        if not marked and (is_whiteout(item.info) or any(name.startswith(_SHOWN_MARK) for name, _ in noted)):
            marked = os.fsdecode(item.name) or "."
        parts = (*_facts(item, window, digest, first_name), *(b"%b=%b" % pair for pair in noted))
        total.update(b"".join([b"%d:%b" % (len(part), part) for part in parts]) + b"\n")
        signature.update(_line(item.name, item.info))
        files += 1
        size += 0 if linked_before else item.info.st_blocks * 512
    return Content(digest=total.hexdigest(), signature=signature.hexdigest(), files=files, size_bytes=size,
                   marked=marked)


def signature_of(upper: Path) -> str:
    """Sizes, times and numbers of all files in `upper`: the same as long as nobody touched any. Cheap: reads no file.

    Raises:
        OSError: it cannot be read.
    """
    top = os.fsencode(upper)
    total = hashlib.sha256(_line(b"", os.lstat(top)))
    for name, _, info in _below(top):
        total.update(_line(name, info))
    return total.hexdigest()


def _line(name: bytes, info: os.stat_result) -> bytes:
    ctime = info.st_ctime_ns if name else 0  # the folder itself is renamed when it is taken into the store
    return b"%d:%b %d %d %d %d %d %d %d\n" % (
        len(name), name, info.st_mode, info.st_uid, info.st_gid, info.st_ino,
        info.st_size if stat.S_ISREG(info.st_mode) else 0, info.st_mtime_ns, ctime)


def _items(upper: Path) -> Iterator[_Item]:
    """The folder itself, then everything in it, in an order that never changes."""
    top = os.fsencode(upper)
    yield _Item(b"", os.fsdecode(top), os.lstat(top))
    for name, path, info in _below(top):
        yield _Item(name, os.fsdecode(path), info)


def _below(top: bytes) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
    """Name from `top` on, path, and lstat(2) of everything in it, each folder before what is in it, sorted."""
    waiting = _names(top, b"")
    while waiting:
        name = waiting.pop()
        path = top + b"/" + name
        info = os.lstat(path)
        yield name, path, info
        if stat.S_ISDIR(info.st_mode):
            waiting += _names(path, name + b"/")


def _names(folder: bytes, prefix: bytes) -> list[bytes]:
    """What is in the folder, the last name first."""
    return sorted((prefix + name for name in os.listdir(folder)), reverse=True)


def _summed(items: Iterator[_Item]) -> Iterator[tuple[_Item, bytes]]:
    """Each item with the digest of its content, if it is a regular file that has any. Files are read by all cores, a
    few hundred at a time: what is held in memory does not grow with the layer. Small layers start no thread."""
    linked: dict[tuple[int, int], bytes] = {}
    part = list(islice(items, _ALL_AT_ONCE))
    if len(part) < _ALL_AT_ONCE:
        yield from _sums(part, linked)
        return
    workers = os.cpu_count() or 1
    waiting: deque[Future[list[tuple[_Item, bytes]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        while part:
            waiting.append(pool.submit(_sums, part, linked))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
            part = list(islice(items, _ALL_AT_ONCE))
        while waiting:
            yield from waiting.popleft().result()


def _sums(items: list[_Item], linked: dict[tuple[int, int], bytes]) -> list[tuple[_Item, bytes]]:
    """`linked` has the digests of files with several names, which are read once."""
    found = []
    for item in items:
        digest = linked.get(_identity(item.info), b"")
        if not digest and stat.S_ISREG(item.info.st_mode) and item.info.st_size:
            digest = _sum(item.path, item.info.st_size)
            if _is_linked(item.info):
                linked[_identity(item.info)] = digest
        found.append((item, digest))
    return found


def _sum(path: str, size: int) -> bytes:
    """`size` is what the file had a moment ago: a small one that has not grown takes one read."""
    if size < _ONE_READ:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(descriptor, size + 1)
        finally:
            os.close(descriptor)
        if len(data) == size:
            return hashlib.sha256(data).digest()
    with open(path, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _is_linked(info: os.stat_result) -> bool:
    return stat.S_ISREG(info.st_mode) and info.st_nlink > 1


def _identity(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def _facts(item: _Item, window: Window, digest: bytes, first_name: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    info = item.info
    yield item.name
    if is_whiteout(info):
        yield b"gone"
        return
    yield b"%o %d %d" % (info.st_mode, info.st_uid, info.st_gid)
    yield window.tells(info.st_mtime_ns).encode()
    if stat.S_ISREG(info.st_mode):
        yield b"%d " % info.st_size + digest
        if _is_linked(info):
            yield b"linked " + first_name.setdefault(_identity(info), item.name)
    elif stat.S_ISLNK(info.st_mode):
        yield os.fsencode(os.readlink(item.path))
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        yield b"%d" % info.st_rdev


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
        shown = _SHOWN_MARK + os.fsencode(name[len(mark):]) if mark else os.fsencode(name)
        found.append((shown, os.getxattr(path, name, follow_symlinks=False)))
    return sorted(found)
