"""The imagined fake root: a filesystem of pyfakefs, for Python code that reads and thinks.

And ways between the two kinds: a tree on disk is loaded into pyfakefs, or filled from it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydib.host.keeper_process import Entry
from pydib.testkit.commands import Commands
from pydib.testkit.face import MERGED, Root

FakeFilesystem = Any
"""A `pyfakefs.fake_filesystem.FakeFilesystem`; importing that is left to the test that has one."""

_OF_PYFAKEFS = ("/dev", "/proc", "/sys")


class ImaginedRoot(Root):
    """A fake root whose `/` is that of a pyfakefs filesystem: `open()` and `os.path` of the test see it."""

    def __init__(self, filesystem: FakeFilesystem, commands: Commands, *, shelves: Sequence[Path] = ()) -> None:
        super().__init__(shelves)
        self.filesystem = filesystem
        self.commands = commands
        self._os = _os_of(filesystem)
        self.filled = True

    def split_usr(self) -> None:
        """See `Root.split_usr`."""
        for name in MERGED:
            self.mkdir(f"/{name}")

    def write(self, path: str, text: str | bytes, mode: int | None = None) -> Path:
        """See `Root.write`."""
        if self._os.path.lexists(path):
            self.filesystem.remove_object(self.filesystem.resolve_path(path))
        self.filesystem.create_file(path, contents=text, st_mode=stat.S_IFREG | (0o644 if mode is None else mode))
        return Path(path)

    def mkdir(self, path: str, mode: int | None = None) -> Path:
        """See `Root.mkdir`."""
        if not self._os.path.isdir(path):
            self.filesystem.create_dir(path)
        if mode is not None:
            self.chmod(path, mode)
        return Path(path)

    def symlink(self, path: str, target: str) -> Path:
        """See `Root.symlink`."""
        if self._os.path.lexists(path):
            self._os.remove(path)
        self.filesystem.create_symlink(path, target)
        return Path(path)

    def chmod(self, path: str, mode: int) -> None:
        """See `Root.chmod`."""
        self._os.chmod(path, mode)

    def chown(self, path: str, user: int, group: int) -> None:
        """See `Root.chown`."""
        self._os.chown(path, user, group)

    def remove(self, path: str) -> None:
        """See `Root.remove`."""
        self._os.remove(path)

    def read_bytes(self, path: str) -> bytes:
        """See `Root.read_bytes`."""
        found = self.filesystem.resolve(path)
        if found.contents is None or isinstance(found.contents, dict):
            raise IsADirectoryError(21, "Is a directory", path)
        return bytes(found.byte_contents)

    def exists(self, path: str) -> bool:
        """See `Root.exists`."""
        return bool(self._os.path.lexists(path))

    def mode(self, path: str) -> int:
        """See `Root.mode`."""
        return stat.S_IMODE(self._os.stat(path).st_mode)

    def owner(self, path: str) -> tuple[int, int]:
        """See `Root.owner`."""
        found = self._os.stat(path)
        return found.st_uid, found.st_gid

    def link(self, path: str) -> str | None:
        """See `Root.link`."""
        return str(self._os.readlink(path)) if self._os.path.islink(path) else None

    def tree(self, below: str = "/") -> list[str]:
        """See `Root.tree`."""
        found = []
        for path, entry in entries_of(self.filesystem):
            empty = not stat.S_ISDIR(entry[0]) or not self._os.listdir(path)
            if empty and path != "/tmp" and path.startswith(below.rstrip("/") + "/"):
                found.append(path)
        return sorted(found)


def entries_of(filesystem: FakeFilesystem) -> Iterator[tuple[str, Entry]]:
    """Everything in a filesystem of pyfakefs but devices, parents before what is in them."""
    fake_os = _os_of(filesystem)
    waiting = ["/"]
    while waiting:
        folder = waiting.pop()
        for name in sorted(fake_os.listdir(folder)):
            path = os.path.join(folder, name)
            found = fake_os.lstat(path)
            if path in _OF_PYFAKEFS:
                continue
            content = b""
            if stat.S_ISLNK(found.st_mode):
                content = os.fsencode(fake_os.readlink(path))
            elif stat.S_ISREG(found.st_mode):
                content = bytes(filesystem.get_object(path).byte_contents or b"")
            elif stat.S_ISDIR(found.st_mode):
                waiting.append(path)
            yield path, (found.st_mode, found.st_uid, found.st_gid, found.st_size, 0, 0, 0, content)


@contextlib.contextmanager
def as_root() -> Iterator[None]:
    """In pyfakefs we are root, as scripts are, whoever runs the tests."""
    from pyfakefs import helpers

    user, group = helpers.get_uid(), helpers.get_gid()
    helpers.set_uid(0)
    helpers.set_gid(0)
    try:
        yield
    finally:
        helpers.set_uid(user)
        helpers.set_gid(group)


def load(filesystem: FakeFilesystem, entries: Iterable[tuple[str, Entry]], at: str = "/") -> None:
    """Put what was found on disk into a filesystem of pyfakefs, below `at`; what is there already is replaced."""
    with as_root():
        _load(filesystem, entries, at)


def _load(filesystem: FakeFilesystem, entries: Iterable[tuple[str, Entry]], at: str) -> None:
    root = ImaginedRoot.__new__(ImaginedRoot)
    Root.__init__(root, ())
    root.filesystem, root._os = filesystem, _os_of(filesystem)
    for path, (mode, user, group, _, _, _, _, content) in sorted(entries):
        place = str(PurePosixPath(at) / path.lstrip("/"))
        if stat.S_ISLNK(mode):
            root.symlink(place, os.fsdecode(content))
            continue
        if stat.S_ISDIR(mode):
            root.mkdir(place, stat.S_IMODE(mode))
        elif stat.S_ISREG(mode):
            root.write(place, content, stat.S_IMODE(mode))
        else:
            continue
        root.chown(place, user, group)


def _os_of(filesystem: FakeFilesystem) -> Any:
    from pyfakefs.fake_os import FakeOsModule

    return FakeOsModule(filesystem)
