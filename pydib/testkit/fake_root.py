"""A fake root: a directory that stands for the target's file system in a test."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pydib.testkit.commands import Commands

MOUNT_POINTS = ("dev", "proc", "sys")
MERGED = ("bin", "sbin", "lib", "lib64")
"""Links into /usr that every fake root has, as today's distributions have them."""

SKELETON = frozenset({"/tmp", "/usr", *(f"/usr/{name}" for name in MERGED)})
"""Directories that every fake root has."""

ROOTS = (Path(__file__).parents[1] / "_data/roots", Path(__file__).parents[2] / "fixtures/roots")
"""Where the ready roots lie: in a wheel, in a checkout."""


class FakeRoot:
    """A directory with what the test puts into it; scripts of elements see it as the target.

    All paths are the target's own (`/etc/hosts`); symbolic links are followed inside the root, never out of it.
    Beside the root lie a home, a cache and the hook tree, all below `base`.

    Args:
        base: an empty directory, such as pytest's tmp_path.
        shelves: directories with ready roots of the caller's own, looked at before ours.
    """

    def __init__(self, base: Path, *, shelves: Iterable[Path] = ()) -> None:
        self.base = base
        self.directory = base / "build/mnt"
        self.commands = Commands(base / "kit")
        self.env: dict[str, str] = {"DISTRO_NAME": "bare", "DIB_RELEASE": "1", "DIB_INIT_SYSTEM": "systemd"}
        self.filled = False
        self._shelves = (*shelves, *ROOTS)
        for name in ("build", "image", "cache", "locks", "home", "cwd", "tmp"):
            (base / name).mkdir(parents=True)
        self._make_empty_tree()

    def like(self, name: str) -> FakeRoot:
        """Fill the root from the ready root `name`, and set the variables and programs that it names.

        Raises:
            LookupError: there is no such ready root; the message names those there are.
        """
        description = self._read_ready(name)
        self.filled = True
        self.env.update({key: str(value) for key, value in description.get("env", {}).items()})
        self.commands.family(description.get("family", ""))
        for path, mode in description.get("directories", {}).items():
            self.mkdir(path, mode=int(str(mode), 8))
        for path, text in description.get("files", {}).items():
            self.write(path, text or "")
        for path, mode in description.get("modes", {}).items():
            self.chmod(path, int(str(mode), 8))
        for path, target in description.get("links", {}).items():
            self.symlink(path, target)
        return self

    def write(self, path: str, text: str | bytes, mode: int | None = None) -> Path:
        """Write a file, with its parent directories; `mode` like 0o600."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            file.write_bytes(text)
        else:
            file.write_text(text)
        file.chmod(0o644 if mode is None else mode)
        self.filled = True
        return file

    def read(self, path: str) -> str:
        """The file's text; bytes that are not UTF-8 as surrogate escapes.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        return self.path(path).read_text(errors="surrogateescape")

    def read_bytes(self, path: str) -> bytes:
        """The file's bytes."""
        return self.path(path).read_bytes()

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
        return found.st_uid, found.st_gid

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
        """Set user and group number; needs root."""
        os.chown(self.path(path), user, group)

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
        """Paths of all files, links and empty directories below `below`, sorted.

        What every fake root has (/bin, /dev, an empty /tmp ...) is left out.
        """
        return sorted(path for path in self.snapshot() if path.startswith(below.rstrip("/") + "/"))

    def snapshot(self) -> Mapping[str, tuple[int, ...]]:
        """What `tree` lists, with marks that change when the entry does."""
        found: dict[str, tuple[int, ...]] = {}
        for folder, directories, files in os.walk(self.directory):
            inside = folder[len(str(self.directory)):]
            if not inside:
                directories[:] = [name for name in directories if name not in (*MOUNT_POINTS, *MERGED)]
            links = [name for name in directories if Path(folder, name).is_symlink()]
            for name in [*files, *links]:
                self._mark(found, f"{inside}/{name}")
            if inside and inside not in SKELETON and not files and not directories:
                self._mark(found, inside)
        return found

    def _mark(self, found: dict[str, tuple[int, ...]], path: str) -> None:
        entry = os.lstat(f"{self.directory}{path}")
        if not (stat.S_ISCHR(entry.st_mode) and entry.st_rdev == 0):
            who = (entry.st_mode, entry.st_uid, entry.st_gid)
            what = () if stat.S_ISDIR(entry.st_mode) else (entry.st_ino, entry.st_size, entry.st_mtime_ns)
            found[path] = (*who, *what)

    def _make_empty_tree(self) -> None:
        for name in (*MOUNT_POINTS, "usr", "tmp"):
            (self.directory / name).mkdir(parents=True)
        for name in MERGED:
            (self.directory / name).symlink_to(f"usr/{name}")
            (self.directory / "usr" / name).mkdir()
        (self.directory / "tmp").chmod(0o1777)

    def _read_ready(self, name: str) -> dict[str, Any]:
        for shelf in self._shelves:
            file = shelf / f"{name}.yaml"
            if file.is_file():
                return dict(yaml.safe_load(file.read_text()))
        known = sorted({file.stem for shelf in self._shelves for file in shelf.glob("*.yaml")})
        raise LookupError(f"there is no ready root {name!r}; there are: {', '.join(known) or 'none'}")


def _resolve(root: Path, path: str, *, links: int = 40) -> Path:
    """Follow `path` inside `root` as chroot would; `..` stops at the root."""
    where: list[str] = []
    rest = [part for part in path.split("/") if part][::-1]
    while rest:
        part = rest.pop()
        if part == "..":
            where = where[:-1]
        elif part != ".":
            entry = root.joinpath(*where, part)
            if not entry.is_symlink():
                where.append(part)
                continue
            links -= 1
            if not links:
                raise OSError(f"too many links in {path}")
            target = str(entry.readlink())
            where = [] if target.startswith("/") else where
            rest += [piece for piece in target.split("/") if piece][::-1]
    return root.joinpath(*where)
