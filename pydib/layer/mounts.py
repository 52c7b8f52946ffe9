"""What scripts have mounted in the tree: described so that it can be made again, made again, and carried from one
overlay to the next (mount --move), so that a tmpfs keeps its content and a bind mount stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydib.errors import CommandFailed, EngineError
from pydib.host.mount import MOUNTINFO, MountPoint, detach, mount, mounts_below, unmount_below
from pydib.host.overlay import OverlayFailed, mounts_on, move_mount
from pydib.layer import keys
from pydib.layer.records import LeftMount

_WITHOUT_CONTENT = ("proc", "sysfs", "devpts", "devtmpfs", "mqueue", "cgroup2", "securityfs", "debugfs", "binfmt_misc")
"""Filesystems that the kernel fills: mounted anew they are the same."""


_Key = tuple[int, Path, str, str]


class ScriptMounts:
    """The mounts in a tree.

    Args:
        place: the directory that the tree is mounted on.
        parking: an empty directory for mounts on the move.
        fold: writes directories of this build and machine as words.
        private: directories of the build, and of the store; what is mounted from there cannot be made again by another
            build.
    """

    def __init__(self, place: Path, parking: Path, fold: keys.Fold, private: Sequence[Path]) -> None:
        self.place = place
        self._parking = parking
        self._fold = fold
        self._private = [str(path.resolve()) for path in private]
        self._engines: set[_Key] = set()
        self._scripts: set[_Key] = set()
        self._seen: tuple[bytes, int] = (b"", 0)
        self._left: tuple[LeftMount, ...] | str = ()

    def adopt(self) -> None:
        """What is mounted now in the tree, and is not known yet, is the engine's, not a script's."""
        now = {_key(found) for found in mounts_below(self.place, itself=False)}
        self._engines = now - self._scripts

    @contextmanager
    def parked(self) -> Iterator[None]:
        """What is mounted in the tree waits aside while the block changes what is under it."""
        waiting: list[tuple[Path, Path]] = []
        for number, found in enumerate(mounts_on(self.place)):
            aside = self._parking / str(number)
            aside.mkdir() if found.target.is_dir() else aside.touch()
            move_mount(found.target, aside)
            waiting.append((aside, found.target))
        try:
            yield
        finally:
            for aside, target in waiting:
                _return(aside, target)

    def left(self) -> tuple[LeftMount, ...] | str:
        """The mounts that scripts left, as they can be made again; or why one cannot."""
        now = (MOUNTINFO.read_bytes(), len(self._engines))
        if now != self._seen:
            self._note_scripts()
            self._seen, self._left = now, self._describe()
        return self._left

    def _describe(self) -> tuple[LeftMount, ...] | str:
        left = []
        for one in self._of_scripts():
            described = self._described(one)
            if described is None:
                return (f"{one.fstype} is mounted at /{one.target.relative_to(self.place.resolve())}, whose content "
                        "no layer holds")
            left.append(described)
        return tuple(left)

    def _of_scripts(self) -> list[MountPoint]:
        return [found for found in mounts_below(self.place, itself=False) if _key(found) not in self._engines]

    def _note_scripts(self) -> None:
        self._scripts = {_key(found) for found in self._of_scripts()}

    def _described(self, found: MountPoint) -> LeftMount | None:
        target = str(found.target.relative_to(self.place.resolve()))
        read_only = "ro" if "ro" in found.options.split(",") else "rw"
        source = self._source(found)
        if source is not None:
            return LeftMount(target=target, fstype="bind", source=self._fold.fold(str(source)), options=read_only)
        if found.fstype in _WITHOUT_CONTENT:
            return LeftMount(target=target, fstype=found.fstype, source=found.source, options=read_only)
        return None

    def _source(self, found: MountPoint) -> Path | None:
        """The host's directory or file that a bind mount shows; None if it is none of the host's."""
        hidden = [str(self.place.resolve()), *self._private]
        for other in mounts_below(Path("/"), device=found.device):
            inside = _below(found.root, other.root)
            if inside is None or any(_below(str(other.target), folder) is not None for folder in hidden):
                continue
            source = other.target / inside
            private = any(_below(str(source), folder) is not None for folder in self._private)
            if not private and source.exists() and not found.root.endswith("//deleted"):
                return source
        return None

    def can_make(self, mounts: Sequence[LeftMount]) -> str:
        """Why one of these mounts cannot be made; empty when all can."""
        for one in mounts:
            if one.fstype == "bind" and not Path(self._fold.unfold(one.source)).exists():
                return f"{self._fold.unfold(one.source)}, mounted at /{one.target} then, is not there"
        return ""

    def restore(self, mounts: Sequence[LeftMount]) -> None:
        """After a jump to another state: `mounts`, which scripts had left there, and no others."""
        wanted = list(mounts)
        for found in reversed(self._of_scripts()):
            described = self._described(found)
            if described in wanted:
                wanted.remove(described)
            else:
                detach(found.target)
        for one in wanted:
            self._make(one)
        self._note_scripts()

    def _make(self, one: LeftMount) -> None:
        target = self.place / one.target
        try:
            if one.fstype == "bind":
                mount(self._fold.unfold(one.source), target, options="bind,ro" if one.options == "ro" else "bind")
            else:
                mount(one.source, target, fstype=one.fstype, options=one.options)
        except CommandFailed as error:
            raise EngineError(f"a mount that a script had left cannot be made again: {error.what}", where=str(target),
                              hint="build with --no-cache") from None


def _below(path: str, folder: str) -> str | None:
    """What leads from `folder` to `path`, both absolute and without dots, as text; None when it is not in there.

    Paths as text: this is asked of every mount for every script.
    """
    if path == folder:
        return ""
    start = folder.rstrip("/") + "/"
    return path[len(start):] if path.startswith(start) else None


def _key(found: MountPoint) -> _Key:
    """Who a mount is. The kernel gives its number to another one as soon as it is gone."""
    return found.identity, found.target, found.device, found.root


def _return(aside: Path, target: Path) -> None:
    """A mount whose place the new state lacks goes; it belonged to another state."""
    try:
        move_mount(aside, target)
    except OverlayFailed:
        unmount_below(aside)
    aside.rmdir() if aside.is_dir() else aside.unlink()
