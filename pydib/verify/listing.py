"""Everything that there is in a tree, by path: out of a folder, or out of a tar file, which is how images are read."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydib.errors import InputError

DPKG_STATUS = "/var/lib/dpkg/status"
RPM_DATABASES = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages")
"""Whole files that tell of packages; the first that is there counts."""
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
          stat.S_IFCHR: "character device", stat.S_IFBLK: "block device", stat.S_IFSOCK: "socket"}
_TAR_KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.GNUTYPE_SPARSE: "file",
              tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo",
              tarfile.CHRTYPE: "character device", tarfile.BLKTYPE: "block device"}
_IN_TAR = "SCHILY.xattr."


@dataclass(frozen=True, kw_only=True)
class Item:
    """One path: `mode` are the permission bits, `size` bytes of a file, `target` where a link leads or a device's
    numbers, `attributes` the extended ones, `names` how many names the file has. `digest` tells the content when asked;
    items of the same `identity`, if any, need not be asked."""

    kind: str
    mode: int
    user: int
    group: int
    size: int = 0
    target: str = ""
    attributes: Mapping[str, bytes] = field(default_factory=dict)
    names: int = 1
    identity: tuple[int, ...] = ()
    digest: Callable[[], str] = str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A tree: its items by absolute path, and the content of files that tell of packages."""

    items: Mapping[str, Item]
    read: Callable[[str], bytes]


def of_folder(top: Path) -> Listing:
    """What is in `top`, other filesystems mounted in there left out."""
    items = {"/" + os.path.relpath(path, top): _item(path) for path in _below(top)}
    return Listing(items=items, read=lambda path: (top / path.lstrip("/")).read_bytes())


def _below(top: Path) -> Iterator[str]:
    device = top.lstat().st_dev
    for folder, folders, files in os.walk(top):
        yield from (os.path.join(folder, name) for name in (*folders, *files))
        folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]


def _item(path: str) -> Item:
    info = os.lstat(path)
    kind = _KINDS[stat.S_IFMT(info.st_mode)]
    target = os.readlink(path) if kind == "link" else ""
    if kind.endswith("device"):
        target = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    attributes = {name: os.getxattr(path, name, follow_symlinks=False)
                  for name in os.listxattr(path, follow_symlinks=False)}
    return Item(kind=kind, mode=stat.S_IMODE(info.st_mode), user=info.st_uid, group=info.st_gid,
                size=info.st_size if kind == "file" else 0, target=target, attributes=attributes,
                names=info.st_nlink if kind == "file" else 1,
                identity=(info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns),
                digest=lambda: _sum(path) if kind == "file" else "")


def _sum(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_tar(stream: BinaryIO, *, where: str) -> Listing:
    """What is in a tar file, packed or not; it is read once, from its beginning to its end.

    Raises:
        InputError: it is none, or not whole.
    """
    items: dict[str, Item] = {}
    kept: dict[str, bytes] = {}
    first_names: dict[str, int] = {}
    links: list[tuple[str, str]] = []
    try:
        with tarfile.open(fileobj=stream, mode="r|*", errorlevel=2) as archive:
            for member in archive:
                path = "/" + os.path.normpath(member.name).lstrip("/.")
                if member.islnk():
                    first = "/" + os.path.normpath(member.linkname).lstrip("/.")
                    links.append((path, first))
                    first_names[first] = first_names.get(first, 1) + 1
                elif path != "/":
                    items[path] = _member(archive, member, path, kept)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"the archive cannot be read: {error}", where=where,
                         hint="look whether it is complete") from None
    for first, count in first_names.items():
        if first in items:
            items[first] = _named(items[first], count)
    for path, first in links:
        if first in items:
            items[path] = items[first]
    return Listing(items=items, read=lambda path: kept[path])


def _named(item: Item, names: int) -> Item:
    return Item(**{**item.__dict__, "names": names})


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, kept: dict[str, bytes]) -> Item:
    kind = _TAR_KINDS.get(member.type, "file")
    digest = ""
    if kind == "file":
        content = archive.extractfile(member)
        assert content is not None
        if path in (DPKG_STATUS, *RPM_DATABASES):
            kept[path] = content.read()
            digest = hashlib.sha256(kept[path]).hexdigest()
        else:
            total = hashlib.sha256()
            while piece := content.read(1 << 20):
                total.update(piece)
            digest = total.hexdigest()
    target = member.linkname if kind == "link" else ""
    if kind.endswith("device"):
        target = f"{member.devmajor}:{member.devminor}"
    attributes = {name[len(_IN_TAR):]: value.encode("utf-8", "surrogateescape")
                  for name, value in member.pax_headers.items() if name.startswith(_IN_TAR)}
    return Item(kind=kind, mode=member.mode & 0o7777, user=member.uid, group=member.gid,
                size=member.size if kind == "file" else 0, target=target, attributes=attributes,
                digest=lambda: digest)
