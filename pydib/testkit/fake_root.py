"""A fake root: a directory that stands for the target's file system in a test.

It lies on a tmpfs where there is one. Files may belong to others than root also when an ordinary user runs the tests:
then numbers of users are those of the keeper's user namespace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from pydib.host.keeper import Keeper, KeeperRefused
from pydib.host.keeper_process import listing
from pydib.testkit.commands import Commands
from pydib.testkit.face import MERGED, Root
from pydib.testkit.imagined import entries_of, load
from pydib.testkit.real_disk import on_the_real_disk
from pydib.testkit.result import Snapshot, leaves
from pydib.testkit.session import session

MOUNT_POINTS = ("dev", "proc", "sys")
NOT_LOOKED_AT = frozenset(b"/" + name.encode() for name in MOUNT_POINTS)

SKELETON = frozenset(os.fsencode(path) for path in (
    "/tmp", "/usr", *(f"/usr/{name}" for name in MERGED), *(f"/{name}" for name in MERGED)))
"""What every fake root has; /bin, /sbin, /lib and /lib64 are links into /usr, as today's distributions have them."""

HOST_FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hostname": "builder\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
"""The whole /etc of scripts that run on the host, until a test writes more to `base`/etc."""


@on_the_real_disk
class FakeRoot(Root):
    """A directory with what the test puts into it; scripts of elements see it as the target.

    Symbolic links are followed inside the root, never out of it. Beside the root lie a home, a cache and the hook
    tree, all below `base`.

    Args:
        base: an empty directory.
        shelves: directories with ready roots of the caller's own, looked at before ours.
    """

    def __init__(self, base: Path, *, shelves: Iterable[Path] = ()) -> None:
        super().__init__(tuple(shelves))
        self.base = base
        self.directory = base / "build/mnt"
        self.commands = Commands(base / "kit")
        for name in ("build", "image", "cache", "locks", "home", "cwd", "tmp", "etc"):
            (base / name).mkdir(parents=True)
        for name, text in HOST_FILES.items():
            (base / "etc" / name).write_text(text)
        self._make_empty_tree()

    def fill_from(self, filesystem: Any) -> FakeRoot:
        """Fill the root with all that is in a filesystem of pyfakefs (its fixture `fs`)."""
        self.filled = True
        for path, (mode, user, group, _, _, _, _, content) in list(entries_of(filesystem)):
            if stat.S_ISLNK(mode):
                self.symlink(path, os.fsdecode(content))
            elif stat.S_ISDIR(mode):
                self.mkdir(path, stat.S_IMODE(mode) if path != "/tmp" else None)
            elif stat.S_ISREG(mode):
                self.write(path, content, stat.S_IMODE(mode))
            if not stat.S_ISLNK(mode) and path != "/tmp":
                self._own(path, user, group)
        return self

    def load_into(self, filesystem: Any, at: str = "/") -> None:
        """Put the root into a filesystem of pyfakefs, so that `open()` and `os.path` of the test see it below `at`."""
        load(filesystem, self.snapshot().items(), at)

    def split_usr(self) -> None:
        """See `Root.split_usr`."""
        for name in MERGED:
            place = self.directory / name
            if place.is_symlink():
                place.unlink()
                place.mkdir()
                (self.directory / "usr" / name).rmdir()

    def write(self, path: str, text: str | bytes, mode: int | None = None) -> Path:
        """Write a file, with its parent directories; `mode` like 0o600."""
        file = self.path(path)
        content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        try:
            file.write_bytes(content)
        except FileNotFoundError:
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
        file.chmod(0o644 if mode is None else mode)
        self.filled = True
        return file

    def read_bytes(self, path: str) -> bytes:
        """See `Root.read_bytes`."""
        file = self.path(path)
        try:
            return file.read_bytes()
        except PermissionError:  # it belongs to another user of the keeper's namespace
            return self._keeper.read(file)

    def exists(self, path: str) -> bool:
        """Whether `path` is there; a link to nothing is there as well."""
        return self.lstat(path) is not None

    def lstat(self, path: str) -> os.stat_result | None:
        """What `lstat` says about `path`, or None when there is nothing (or it was deleted through the overlay)."""
        parent, name = os.path.split(path.rstrip("/"))
        try:
            found = (self.path(parent) / name).lstat()
        except OSError:
            return None
        return None if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0 else found

    def mode(self, path: str) -> int:
        """The permission bits, such as 0o644.

        Raises:
            OSError: it is not there.
        """
        return stat.S_IMODE(self.path(path).stat().st_mode)

    def owner(self, path: str) -> tuple[int, int]:
        """User and group number.

        Raises:
            OSError: it is not there.
        """
        found = self.path(path).stat()
        if os.geteuid() == 0:
            return found.st_uid, found.st_gid
        return self._keeper.users.inside(found.st_uid), self._keeper.groups.inside(found.st_gid)

    def link(self, path: str) -> str | None:
        """Where the symbolic link `path` points, or None when it is no link."""
        parent, name = os.path.split(path.rstrip("/"))
        file = self.path(parent) / name
        return str(file.readlink()) if file.is_symlink() else None

    def mkdir(self, path: str, mode: int | None = None) -> Path:
        """Make a directory with its parents, or keep the one that is there."""
        directory = self.path(path)
        directory.mkdir(parents=True, exist_ok=True)
        if mode is not None:
            directory.chmod(mode)
        self.filled = True
        return directory

    def symlink(self, path: str, target: str) -> Path:
        """Make the symbolic link `path` that says `target`."""
        parent, name = os.path.split(path)
        link = self.mkdir(parent) / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        return link

    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits."""
        self.path(path).chmod(mode)

    def chown(self, path: str, user: int, group: int) -> None:
        """Set numbers of user and group. An ordinary user needs subordinate ids for others than root (subuid(5)).

        Raises:
            OSError: it is not there, or this user cannot do it.
        """
        self._own(path, user, group)

    def _own(self, path: str, user: int, group: int) -> None:
        if os.geteuid() == 0:
            os.chown(self.path(path), user, group)
        elif (user, group) != (0, 0) or self.owner(path) != (0, 0):
            self._keeper.chown(self.path(path), user, group)

    def remove(self, path: str) -> None:
        """Delete a file or a link."""
        parent, name = os.path.split(path.rstrip("/"))
        (self.path(parent) / name).unlink()

    def path(self, path: str = "/") -> Path:
        """Where the target's `path` really lies, links followed inside the root.

        Raises:
            OSError: links run in a circle.
        """
        return _resolve(self.directory, path)

    def tree(self, below: str = "/") -> list[str]:
        """See `Root.tree`."""
        snapshot = self.snapshot(contents=False)
        return sorted(path for path in leaves(snapshot) if path.startswith(below.rstrip("/") + "/"))

    def snapshot(self, *, contents: bool = True) -> Snapshot:
        """All that is in the root, by path, but for what every fake root has."""
        found = self._listing(contents)
        return {os.fsdecode(path): entry for path, entry in found.items() if path not in SKELETON}

    def _listing(self, contents: bool) -> Any:
        try:
            return self._keeper.listing(self.directory, contents=contents, skip=NOT_LOOKED_AT)
        except KeeperRefused:
            return listing(os.fsencode(self.directory), contents=contents, skip=NOT_LOOKED_AT)

    @cached_property
    def _keeper(self) -> Keeper:
        return session().keeper

    def _make_empty_tree(self) -> None:
        for name in (*MOUNT_POINTS, "usr", "tmp"):
            (self.directory / name).mkdir(parents=True)
        for name in MERGED:
            (self.directory / name).symlink_to(f"usr/{name}")
            (self.directory / "usr" / name).mkdir()
        (self.directory / "tmp").chmod(0o1777)


def _resolve(root: Path, path: str, *, links: int = 40) -> Path:
    """Follow `path` inside `root` as chroot would; `..` stops at the root."""
    top = where = str(root)
    rest = path.split("/")[::-1]
    while rest:
        part = rest.pop()
        if part == "..":
            where = top if where == top else os.path.dirname(where)
        elif part not in ("", "."):
            entry = f"{where}/{part}"
            try:
                target = os.readlink(entry)
            except OSError:
                where = entry
                continue
            links -= 1
            if not links:
                raise OSError(f"too many links in {path}")
            where = top if target.startswith("/") else where
            rest += target.split("/")[::-1]
    return Path(where)
