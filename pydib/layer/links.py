"""Hard links in layers without root.

In a user namespace overlayfs has no index: when it copies up one of several names of a file in a lower layer, that name
becomes a file of its own, and the others keep their old content. So no such file is left for it to copy up: before a
tree is mounted, every file of the lower layers that has several names is *carried*, that is, lies in the upper
directory, copied and linked as it was. There the names belong together as on any other filesystem. What is still
untouched when the script has ended is taken away again, before the upper directory becomes a layer.

So all names of a file are in one layer, always: a script that touches one of them leaves the whole of it in its own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydib.host.command import run
from pydib.layer.content import is_whiteout
from pydib.layer.folders import dress, is_opaque, looks

_AT_ONCE = 400
"""So many names are given to one cp."""

_ORIGIN = "user.overlay.origin"
"""What overlayfs notes on a folder that it has copied up. It would do so when the folder is first seen, and change its
times by that; tar minds."""


@dataclass(frozen=True, kw_only=True)
class Linked:
    """A file with several names, relative to the tree, in the lower layer of that name."""

    layer: str
    names: tuple[str, ...]


_Touch = tuple[int, int]
"""Inode number and time of change of the inode, in nanoseconds: what tells whether anybody touched a file."""


def linked_in(folder: Path, layer: str) -> tuple[Linked, ...]:
    """The files with several names in the layer `layer`, which lies in `folder`."""
    found: dict[int, list[str]] = {}
    for name, info in _below(folder):
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1 and not is_whiteout(info):
            found.setdefault(info.st_ino, []).append(name)
    return tuple(Linked(layer=layer, names=tuple(sorted(names))) for names in found.values() if len(names) > 1)


def _covers(layer: Path, group: Linked) -> bool:
    """Whether a layer says something of any name of that file."""
    return any(_covers_name(layer, name) for name in group.names)


def _covers_name(layer: Path, name: str) -> bool:
    """Itself, or by a folder above it that went or was made anew."""
    place = layer
    for part in Path(name).parts:
        place = place / part
        try:
            info = place.lstat()
        except OSError:
            return False
        if not stat.S_ISDIR(info.st_mode) or is_opaque(place):
            return True
    return True


class Carried:
    """The files that are carried from one upper directory to the next.

    Args:
        pool: a directory on the filesystem of the layers, made when it is needed; files lie in there between two
            overlays.
        layers: where the layers are, by name.
    """

    def __init__(self, pool: Path, layers: Path) -> None:
        self._pool, self._layers = pool, layers
        self._known: tuple[tuple[str, ...], tuple[Linked, ...]] = ((), ())
        self._kept: dict[Linked, Path] = {}
        self._placed: dict[Linked, _Touch | None] = {}
        self._made: dict[str, tuple[object, ...]] = {}

    def put(self, upper: Path, lowers: Sequence[str]) -> None:
        """Put what the layers `lowers`, topmost first, have of such files into the directory `upper`, but for those
        whose names it has already.

        Raises:
            OSError, CommandFailed: the disk is full, for instance.
        """
        self._made = {}
        wanted = [group for group in self._wanted(lowers) if not _covers(upper, group)]
        self._copy([group for group in wanted if group not in self._kept])
        folders = sorted({str(folder) for group in wanted for name in group.names for folder in Path(name).parents})
        there = {folder: looks(upper / folder) for folder in folders if os.path.lexists(upper / folder)}
        for folder in folders:
            (upper / folder).mkdir(exist_ok=True)
        for group in wanted:
            first, *others = (upper / name for name in group.names)
            os.rename(self._kept.pop(group), first)
            for other in others:
                os.link(first, other, follow_symlinks=False)
        for folder in reversed(folders):
            if folder in there:
                _set_mtime(upper / folder, there[folder][3])
            else:
                os.setxattr(upper / folder, _ORIGIN, b"")
                dress(upper / folder, self._below_it(folder, lowers))
                self._made[folder] = looks(upper / folder)
        self._placed = {group: _touch(upper, group.names[0]) for group in wanted}

    def _wanted(self, lowers: Sequence[str]) -> tuple[Linked, ...]:
        """The files with several names that a tree of these layers shows. What is known of the layers last asked for
        helps: most often there is one more on top of them."""
        known = len(self._known[0])
        if tuple(lowers[-known:]) != self._known[0] or not known:
            known, self._known = 0, ((), ())
        for number in range(len(lowers) - known, 0, -1):
            layer = lowers[number - 1]
            place = self._layers / layer
            below = tuple(group for group in self._known[1] if not _covers(place, group))
            self._known = (tuple(lowers[number - 1:]), (*linked_in(place, layer), *below))
        return self._known[1]

    def _copy(self, groups: Sequence[Linked]) -> None:
        """Bring files of layers into the pool: their content, holes, owners, modes, times and attributes."""
        by_layer: dict[str, list[Linked]] = {}
        for group in groups:
            by_layer.setdefault(group.layer, []).append(group)
        for layer, some in by_layer.items():
            place = self._pool / layer
            place.mkdir(parents=True, exist_ok=True)
            for number in range(0, len(some), _AT_ONCE):
                names = [group.names[0] for group in some[number:number + _AT_ONCE]]
                run("cp", "--archive", "--parents", "--reflink=auto", "--target-directory", place, "--", *names,
                    cwd=self._layers / layer)
            self._kept.update((group, place / group.names[0]) for group in some)

    def _below_it(self, folder: str, lowers: Sequence[str]) -> Path:
        """The topmost layer's folder of that name: the one whose looks the tree shows."""
        return next(self._layers / layer / folder for layer in lowers if os.path.lexists(self._layers / layer / folder))

    def is_all_of(self, upper: Path) -> bool:
        """Whether `upper` holds nothing but what was put there, untouched."""
        placed = {name for group in self._placed for name in group.names}
        return (all(name in placed or name in self._made for name, _ in _below(upper))
                and all(self._is_untouched(upper, group) for group in self._placed)
                and all(_looks_of(upper, folder) == before for folder, before in self._made.items()))

    def _is_untouched(self, upper: Path, group: Linked) -> bool:
        return all(_touch(upper, name) == self._placed[group] for name in group.names)

    def take_back(self, upper: Path) -> None:
        """Take what is untouched out of `upper`, which is not mounted any more, as if it had never been there."""
        folders = {str(folder) for group in self._placed for name in group.names for folder in Path(name).parents}
        now = {folder: _looks_of(upper, folder) for folder in folders}
        for group in [group for group in self._placed if self._is_untouched(upper, group)]:
            place = self._pool / group.layer / group.names[0]
            place.parent.mkdir(parents=True, exist_ok=True)
            for name in group.names[1:]:
                (upper / name).unlink()
            os.rename(upper / group.names[0], place)
            self._kept[group] = place
        for folder in sorted(folders, reverse=True):
            if now[folder] is not None and now[folder] == self._made.get(folder) and not os.listdir(upper / folder):
                (upper / folder).rmdir()
        for folder, before in now.items():
            if before and (upper / folder).exists():
                _set_mtime(upper / folder, before[3])
        self._placed, self._made = {}, {}


def _below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below `folder`, by its name in there."""
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            yield os.path.relpath(path, folder), os.lstat(path)


def _touch(upper: Path, name: str) -> _Touch | None:
    """None when there is no such file any more."""
    if not _is_reached(upper, name):
        return None
    try:
        info = (upper / name).lstat()
    except OSError:
        return None
    return info.st_ino, info.st_ctime_ns


def _looks_of(upper: Path, folder: str) -> tuple[int, int, int, int, list[tuple[bytes, bytes]]] | None:
    """Its looks; None when it is no folder any more."""
    return looks(upper / folder) if _is_reached(upper, f"{folder}/.") else None


def _is_reached(upper: Path, name: str) -> bool:
    """Whether all above `name` are folders: a script may have put a link there, which leads anywhere."""
    place = os.fspath(upper)
    for part in name.split("/")[:-1]:
        place = os.path.join(place, part)
        if not (os.path.isdir(place) and not os.path.islink(place)):
            return False
    return True


def _set_mtime(folder: Path, mtime_ns: int) -> None:
    os.utime(folder, ns=(folder.lstat().st_atime_ns, mtime_ns))
