"""A finished disk image under test, with paths like those of pathlib."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from pydib.testkit.result import Services


class Status(Protocol):
    """What stat(2) says."""

    @property
    def mode(self) -> int:
        """Kind and permission bits."""

    @property
    def user(self) -> int:
        """Number of the owner."""

    @property
    def group(self) -> int:
        """Number of the group."""

    @property
    def size(self) -> int:
        """Bytes."""


class Package(Protocol):
    """An installed package."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def version(self) -> str:
        """Its version as the packagers write it."""


class Tree(Protocol):
    """Where the files come from: `pydib.verify.disk.Tree`, or a stand-in."""

    def status(self, path: str, *, follow: bool = True) -> Status | None:
        """What `path` is, or None."""

    def read(self, path: str) -> bytes:
        """A file's bytes."""

    def names(self, path: str) -> list[str]:
        """Names in a folder."""

    def link(self, path: str) -> str | None:
        """Where a link points."""

    def find(self, folder: str) -> list[str]:
        """All paths below a folder."""

    def packages(self) -> tuple[Package, ...]:
        """What is installed."""


class Image:
    """A disk image. Its paths are those of the system in it; `path` gives one, and a fake root's questions work too."""

    def __init__(self, file: Path, tree: Tree) -> None:
        self.file = file
        self._tree = tree

    def path(self, path: str) -> ImagePath:
        """A path in the image."""
        return ImagePath(PurePosixPath(path), self)

    def read(self, path: str) -> str:
        """A file's text; bytes that are not UTF-8 as surrogate escapes.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.path(path).read_text()

    def exists(self, path: str) -> bool:
        """Whether `path` is there; a link to nothing is there as well."""
        return self._tree.status(path, follow=False) is not None

    def mode(self, path: str) -> int:
        """Permission bits, such as 0o644."""
        return self.path(path).mode()

    def owner(self, path: str) -> tuple[int, int]:
        """Numbers of user and group."""
        found = self.path(path).stat()
        return found.user, found.group

    def link(self, path: str) -> str | None:
        """Where the symbolic link `path` points, or None."""
        return self._tree.link(path)

    def tree(self, below: str = "/") -> list[str]:
        """All paths below `below`."""
        return self._tree.find(below)

    @property
    def packages(self) -> dict[str, str]:
        """Version of each installed package, by name."""
        return {package.name: package.version for package in self._tree.packages()}

    @property
    def services(self) -> Services:
        """Services that links in /etc enable or mask."""
        units = "/etc/systemd/system"
        enabled = {name for folder in self._tree.names(units) if folder.endswith((".wants", ".requires"))
                   for name in self._tree.names(f"{units}/{folder}")}
        enabled |= {name[3:] for level in "2345" for name in self._tree.names(f"/etc/rc{level}.d") if name[:1] == "S"}
        enabled |= set(self._tree.names("/etc/runlevels/default"))
        masked = {name for name in self._tree.names(units) if self._tree.link(f"{units}/{name}") == "/dev/null"}
        return Services(enabled=frozenset(name.removesuffix(".service") for name in enabled),
                        masked=frozenset(name.removesuffix(".service") for name in masked))

    def names_of(self, file: str) -> dict[int, str]:
        """Names by number, from /etc/passwd or /etc/group."""
        rows = (line.split(":") for line in self.read(file).splitlines())
        return {int(row[2]): row[0] for row in rows if len(row) > 2 and row[2].isdigit()}


@dataclass(frozen=True)
class ImagePath:
    """A path in an image; its methods do what those of `pathlib.Path` do."""

    pure: PurePosixPath
    image: Image

    def __truediv__(self, other: str) -> ImagePath:
        return ImagePath(self.pure / other, self.image)

    def __str__(self) -> str:
        return str(self.pure)

    @property
    def name(self) -> str:
        """The last part."""
        return self.pure.name

    @property
    def parent(self) -> ImagePath:
        """The folder that it is in."""
        return ImagePath(self.pure.parent, self.image)

    def stat(self, *, follow_symlinks: bool = True) -> Status:
        """Mode, user, group and size.

        Raises:
            FileNotFoundError: it is not there.
        """
        found = self._status(follow=follow_symlinks)
        if found is None:
            raise FileNotFoundError(2, "there is no such file in the image", str(self))
        return found

    def exists(self) -> bool:
        """Whether there is something, links followed."""
        return self._status(follow=True) is not None

    def is_file(self) -> bool:
        """Whether it is a regular file, links followed."""
        found = self._status(follow=True)
        return found is not None and stat.S_ISREG(found.mode)

    def is_dir(self) -> bool:
        """Whether it is a directory, links followed."""
        found = self._status(follow=True)
        return found is not None and stat.S_ISDIR(found.mode)

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return self.image.link(str(self)) is not None

    def readlink(self) -> PurePosixPath:
        """Where it points.

        Raises:
            OSError: it is no link.
        """
        target = self.image.link(str(self))
        if target is None:
            raise OSError(22, "this is no link in the image", str(self))
        return PurePosixPath(target)

    def read_bytes(self) -> bytes:
        """The file's bytes.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.image._tree.read(str(self))

    def read_text(self) -> str:
        """The file's text; bytes that are not UTF-8 as surrogate escapes.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.read_bytes().decode("utf-8", "surrogateescape")

    def iterdir(self) -> Iterator[ImagePath]:
        """What is in the folder."""
        return (self / name for name in self.image._tree.names(str(self)))

    def mode(self) -> int:
        """Permission bits, such as 0o644."""
        return stat.S_IMODE(self.stat().mode)

    def owner(self) -> str:
        """Its user's name in the image; the number where it has none."""
        number = self.stat().user
        return self.image.names_of("/etc/passwd").get(number, str(number))

    def group(self) -> str:
        """Its group's name in the image; the number where it has none."""
        number = self.stat().group
        return self.image.names_of("/etc/group").get(number, str(number))

    def _status(self, *, follow: bool) -> Status | None:
        return self.image._tree.status(str(self), follow=follow)
