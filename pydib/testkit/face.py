"""The face that both kinds of fake root have: the imagined one (pyfakefs) and the one on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydib.testkit.commands import Commands
from pydib.testkit.ready import ready_root
from pydib.testkit.real_disk import real_disk

MERGED = ("bin", "sbin", "lib", "lib64")
Self = TypeVar("Self", bound="Root")


class Root(ABC):
    """A tree that stands for the target's file system. All paths are the target's own (`/etc/hosts`).

    Attributes:
        env: variables of a build on it.
        commands: the programs that scripts find.
        filled: whether there is anything in it yet.
    """

    commands: Commands

    def __init__(self, shelves: Sequence[Path]) -> None:
        self.env: dict[str, str] = {"DISTRO_NAME": "bare", "DIB_RELEASE": "1", "DIB_INIT_SYSTEM": "systemd"}
        self.filled = False
        self._shelves = tuple(shelves)

    def like(self: Self, name: str) -> Self:
        """Fill the root from the ready root `name`, and set the variables and programs that it names.

        Raises:
            LookupError: there is no such ready root; the message names those there are.
        """
        with real_disk():
            ready = ready_root(name, self._shelves)
        self.filled = True
        self.env.update(ready.env)
        self.commands.family(ready.family)
        if ready.split_usr:
            self.split_usr()
        for path, mode in ready.directories.items():
            self.mkdir(path, mode=mode)
        for path, text in ready.files.items():
            self.write(path, text)
        for path, mode in ready.modes.items():
            self.chmod(path, mode)
        for path, target in ready.links.items():
            self.symlink(path, target)
        for path, (user, group) in ready.owners.items():
            self.chown(path, user, group)
        return self

    @abstractmethod
    def split_usr(self) -> None:
        """Make /bin, /sbin, /lib and /lib64 directories of their own."""

    @abstractmethod
    def write(self, path: str, text: str | bytes, mode: int | None = None) -> Path:
        """Write a file, with its parent directories; `mode` like 0o600, 0o644 by default."""

    @abstractmethod
    def mkdir(self, path: str, mode: int | None = None) -> Path:
        """Make a directory with its parents, or keep the one that is there."""

    @abstractmethod
    def symlink(self, path: str, target: str) -> Path:
        """Make the symbolic link `path` that says `target`."""

    @abstractmethod
    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits."""

    @abstractmethod
    def chown(self, path: str, user: int, group: int) -> None:
        """Set numbers of user and group."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Delete a file or a link."""

    @abstractmethod
    def read_bytes(self, path: str) -> bytes:
        """The file's bytes.

        Raises:
            OSError: it is not there.
        """

    def read(self, path: str) -> str:
        """The file's text; bytes that are not UTF-8 as surrogate escapes.

        Raises:
            OSError: it is not there.
        """
        return self.read_bytes(path).decode("utf-8", "surrogateescape")

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether `path` is there; a link to nothing is there as well."""

    @abstractmethod
    def mode(self, path: str) -> int:
        """The permission bits, such as 0o644.

        Raises:
            OSError: it is not there.
        """

    @abstractmethod
    def owner(self, path: str) -> tuple[int, int]:
        """Numbers of user and group.

        Raises:
            OSError: it is not there.
        """

    @abstractmethod
    def link(self, path: str) -> str | None:
        """Where the symbolic link `path` points, or None when it is no link."""

    @abstractmethod
    def tree(self, below: str = "/") -> list[str]:
        """Paths of all files, links and empty directories below `below`, sorted.

        What every fake root has (/bin, /dev, an empty /tmp ...) is left out.
        """
