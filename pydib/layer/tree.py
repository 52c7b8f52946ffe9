"""The target's tree as a stack of layers: mounted, its changes taken as a layer, set to a state of another build.

What scripts have mounted in the tree is carried from one overlay to the next (mount --move), so that a tmpfs keeps its
content and a bind mount stays what it was.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydib import clock
from pydib.errors import CommandFailed, EngineError
from pydib.host.mount import MOUNTINFO, MountPoint, detach, mount, mounts_below, unmount_below
from pydib.host.overlay import MOST_LOWERS, OverlayFailed, mount_overlay, mounts_on, move_mount, unmounted
from pydib.layer import keys
from pydib.layer.content import Window, attributes, content_of, is_whiteout
from pydib.layer.records import LeftMount, State
from pydib.layer.store import BASE, Store, Work, remove

FULL_BYTES = 32 << 20
"""With less room than this a disk counts as full."""
_WITHOUT_CONTENT = ("proc", "sysfs", "devpts", "devtmpfs", "mqueue", "cgroup2", "securityfs", "debugfs", "binfmt_misc")
"""Filesystems that the kernel fills: mounted anew they are the same."""
PLACE = Path("tmp/in_target.d")
"""Where the hook tree is mounted in the phases of the target. The directory comes from a lower layer of its own, so
that it belongs to no script."""
_LINKED_ELSEWHERE = ("trusted.overlay.nlink", "user.overlay.nlink")


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who changed the tree: a script and its element, or the engine."""

    name: str
    element: str = ""
    phase: str = ""


class Tree:
    """The tree of a running build.

    Args:
        store: where layers are kept.
        place: the directory that it is mounted on.
        parking: an empty directory for mounts on the move.
        fold: writes directories of this build and machine as words.
        private: directories of the build; what is mounted from there cannot be made again by another build.
        objection: tells why changes, which lie in a directory, may not be kept; an empty text if they may.
    """

    def __init__(self, store: Store, place: Path, parking: Path, fold: keys.Fold, *, private: Sequence[Path],
                 objection: Callable[[Path], str]) -> None:
        self._store = store
        self.place = place
        self._parking = parking
        self._fold = fold
        self._objection = objection
        self._private = [path.resolve() for path in private]
        self._engines: set[int] = set()
        self._mounts_seen: tuple[bytes, int] = (b"", 0)
        self._mounts_left: tuple[LeftMount, ...] = ()
        self._work: Work | None = None
        self._begun_ns = self._written_ns = 0
        self._with_skeleton = False
        self.state = keys.EMPTY
        self.stopped = ""
        """Why no more layers are taken; empty as long as they are."""

    # where the tree stands

    def open(self) -> None:
        """Mount an empty tree."""
        self._mount(keys.EMPTY, skeleton=False)

    def close(self) -> None:
        """Give everything back."""
        unmount_below(self.place, itself=True)
        if self._work is not None:
            remove(self._work.folder)
            self._work = None

    def move_to(self, place: Path) -> None:
        """Move the tree, without anything mounted in it, to the existing directory `place`; no more layers then."""
        unmount_below(self.place, itself=False)
        move_mount(self.place, place)
        self.place = place
        self.stopped = self.stopped or "the tree has moved"

    def adopt(self) -> None:
        """What is mounted now in the tree, and is not known yet, is the engine's, not a script's."""
        self._engines.update(found.identity for found in mounts_below(self.place, itself=False))

    def go_to(self, state: str, *, skeleton: bool) -> None:
        """Let the tree be in `state`. It must have no changes that were not settled.

        Args:
            skeleton: whether it offers the place for the hook tree.

        Raises:
            EngineError: something holds the tree, or a mount that a script left cannot be made again.
        """
        if self.stopped or (state == self.state and (skeleton == self._with_skeleton)):
            return
        with self._parked():
            if not unmounted(self.place):
                raise EngineError("the tree is in use and cannot be set to another state", where=str(self.place),
                                  hint="build with --no-cache")
            self._written_ns = clock.since_1970_ns()
            self._discard()
            self._mount(state, skeleton=skeleton)
        self._restore_mounts()

    def offers_place(self) -> bool:
        """Whether PLACE can be offered: its folder is there, and no script made something of that name in it."""
        chain = self._store.chain(self.state) or ()
        uppers = [self._store.layers / state.upper for state in reversed(chain) if state.upper]
        return _is_folder(uppers, PLACE.parent) and not _exists(uppers, PLACE)

    # changes

    def settle(self, author: Author) -> str:
        """Take what was changed since the last time as a layer, made by `author`; gives the state that the tree is in.

        Where nothing changed nothing happens. Where it cannot be taken, `stopped` tells why from then on.
        """
        if self.stopped:
            return self.state
        left = self._left_mounts()
        if left is None:
            return self.state
        if self._is_untouched():
            if left != self._mounts():
                self.state = self._store.take(self._store.work(), self._new_state("", left, author)).id
            return self.state
        if self._depth() + 2 > MOST_LOWERS:
            return self._stop(f"the tree has {MOST_LOWERS} layers, as many as the kernel stacks")
        self._refuse_full_disk(author)
        self._relink()
        return self._take(left, author)

    def _refuse_full_disk(self, author: Author) -> None:
        """A script may have passed over what it could not write."""
        if self._store.free_bytes() < FULL_BYTES:
            raise EngineError(f"No space left on device: the disk that holds the layers was full after {author.name}",
                              where=str(self._store.folder),
                              hint="make room, with `pydib cache gc` for instance, choose another disk with "
                                   "--image-cache, or build with --no-cache")

    def _take(self, left: tuple[LeftMount, ...], author: Author) -> str:
        assert self._work is not None
        with self._parked():
            if not unmounted(self.place):
                return self._stop(f"something still uses the tree after {author.name}")
            self._written_ns = ended_ns = clock.since_1970_ns()
            try:
                remove(self._work.folder / "w")  # and with it hard links of the layer's files
                if why := self._objection(self._work.upper):
                    self._mount_again()
                    return self._stop(why)
                content = content_of(self._work.upper, Window(begun_ns=self._begun_ns, ended_ns=ended_ns))
                taken = self._store.take(self._work, self._new_state(
                    content.digest, left, author, upper="u", signature=content.signature,
                    window=(self._begun_ns, ended_ns), files=content.files, size_bytes=content.size_bytes))
            except OSError as error:
                self._mount_again()
                return self._stop(f"the store cannot take more layers: {error.strerror}")
            self._work = None
            self._mount(taken.id, skeleton=self._with_skeleton)
        return self.state

    def _mount_again(self) -> None:
        """The same changes as before on the same layers, after they could not be taken."""
        assert self._work is not None
        (self._work.folder / "w").mkdir(exist_ok=True)
        self._mount_overlay(self._lowers(self.state), self._work)

    def _new_state(self, content: str, left: tuple[LeftMount, ...], author: Author, **more: object) -> State:
        name = keys.state_id(self.state, content, [asdict(one) for one in left])
        return State(id=name, parent=self.state, content=content, mounts=left, made_by=author.name,
                     element=author.element, phase=author.phase, created=clock.since_1970(), **more)  # type: ignore[arg-type]

    def _stop(self, why: str) -> str:
        self.stopped = why
        return self.state

    def _is_untouched(self) -> bool:
        assert self._work is not None
        with os.scandir(self._work.upper) as entries:
            if next(entries, None) is not None:
                return False
        now, before = _looks(self._work.upper), self._root_before
        deliberate = now[3] != before[3] and now[3] < self._begun_ns
        return now[:3] == before[:3] and now[4] == before[4] and not deliberate

    def _mounts(self) -> tuple[LeftMount, ...]:
        state = self._store.state(self.state)
        return state.mounts if state is not None else ()

    def _depth(self) -> int:
        return sum(1 for state in self._store.chain(self.state) or () if state.upper)

    def _relink(self) -> None:
        """Names that are hard links of a file that was written to, but lie in lower layers, come up beside it: within
        one overlay the kernel knows that they belong together, the next one would not."""
        assert self._work is not None
        waiting = set()
        for folder, _, names in os.walk(self._work.upper):
            for name in names:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode) and any(mark in _LINKED_ELSEWHERE for mark in os.listxattr(path)):
                    inside = self.place / os.path.relpath(path, self._work.upper)
                    waiting.add(inside.lstat().st_ino)
        if not waiting:
            return
        device = self.place.lstat().st_dev
        for folder, folders, names in os.walk(self.place):
            folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]
            for name in names:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                if info.st_nlink > 1 and info.st_ino in waiting and stat.S_ISREG(info.st_mode):
                    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    # mounting

    def _mount(self, state: str, *, skeleton: bool) -> None:
        work = self._store.work()
        lowers = self._lowers(state)
        _dress(work.upper, self._store.layers / lowers[0])
        if skeleton:
            self._make_place(work, lowers)
        self._root_before = _looks(work.upper)
        self._mount_overlay(lowers, work)
        self._begun_ns = clock.after(self._written_ns)
        self._work, self.state, self._with_skeleton = work, state, skeleton

    def _mount_overlay(self, lowers: Sequence[str], work: Work) -> None:
        upper, scratch = work.names
        place = [work.place_name] if work.place.exists() else []
        mount_overlay(self.place, base=self._store.layers, lowers=[*place, *lowers], upper=upper, work=scratch)

    def _lowers(self, state: str) -> list[str]:
        """Names of the layers, topmost first."""
        chain = self._store.chain(state)
        if chain is None:
            raise EngineError("a layer is missing from the store", where=str(self._store.folder),
                              hint="something removed it while the build ran; build again")
        return [*(one.upper for one in reversed(chain) if one.upper), BASE]

    def _make_place(self, work: Work, lowers: Sequence[str]) -> None:
        """A lower directory with PLACE in it and nothing else, its folders looking like those that they cover."""
        work.place.mkdir()
        _dress(work.place, work.upper)
        covered = next((folder for folder in (self._store.layers / name / PLACE.parent for name in lowers)
                        if folder.exists() or folder.is_symlink()), None)
        assert covered is not None
        (work.place / PLACE).mkdir(parents=True)
        (work.place / PLACE).chmod(0o755)
        _dress(work.place / PLACE.parent, covered)
        _dress(work.place, work.upper)

    def _discard(self) -> None:
        if self._work is not None:
            remove(self._work.folder)
            self._work = None

    @contextmanager
    def _parked(self) -> Iterator[None]:
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
                self._return(aside, target)

    def _return(self, aside: Path, target: Path) -> None:
        """A mount whose place the new state lacks goes; it belonged to another state."""
        try:
            move_mount(aside, target)
        except OverlayFailed:
            unmount_below(aside)
        aside.rmdir() if aside.is_dir() else aside.unlink()

    # mounts of scripts

    def _of_scripts(self) -> list[MountPoint]:
        return [found for found in mounts_below(self.place, itself=False) if found.identity not in self._engines]

    def _left_mounts(self) -> tuple[LeftMount, ...] | None:
        """The mounts that scripts left, as they can be made again; None, and stopped, when one cannot."""
        now = (MOUNTINFO.read_bytes(), len(self._engines))
        if now != self._mounts_seen:
            described = self._describe_mounts()
            if described is None:
                return None
            self._mounts_seen, self._mounts_left = now, described
        return self._mounts_left

    def _describe_mounts(self) -> tuple[LeftMount, ...] | None:
        left = []
        for one in self._of_scripts():
            described = self._described(one)
            if described is None:
                self._stop(f"{one.fstype} is mounted at /{one.target.relative_to(self.place.resolve())}, whose content "
                           "no layer holds")
                return None
            left.append(described)
        return tuple(left)

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
        top = self.place.resolve()
        for other in mounts_below(Path("/")):
            if other.device != found.device or other.target.is_relative_to(top):
                continue
            if any(other.target.is_relative_to(folder) for folder in (*self._private, self._store.folder.resolve())):
                continue
            if Path(found.root).is_relative_to(other.root):
                source = other.target / Path(found.root).relative_to(other.root)
                private = any(source.is_relative_to(folder) for folder in self._private)
                if not private and source.exists() and not found.root.endswith("//deleted"):
                    return source
        return None

    def can_make(self, mounts: Sequence[LeftMount]) -> str:
        """Why one of these mounts cannot be made; empty when all can."""
        for one in mounts:
            if one.fstype == "bind" and not Path(self._fold.unfold(one.source)).exists():
                return f"{self._fold.unfold(one.source)}, mounted at /{one.target} then, is not there"
        return ""

    def _restore_mounts(self) -> None:
        """After a jump to another state: the mounts that scripts had left there, and no others."""
        wanted = list(self._mounts())
        for found in reversed(self._of_scripts()):
            described = self._described(found)
            if described in wanted:
                wanted.remove(described)
            else:
                detach(found.target)
        for one in wanted:
            self._make(one)

    def _make(self, one: LeftMount) -> None:
        target = self.place / one.target
        try:
            if one.fstype == "bind":
                mount(self._fold.unfold(one.source), target, options="bind")
                if one.options == "ro":
                    mount(self._fold.unfold(one.source), target, options="remount,bind,ro")
            else:
                mount(one.source, target, fstype=one.fstype, options=one.options)
        except CommandFailed as error:
            raise EngineError(f"a mount that a script had left cannot be made again: {error.what}", where=str(target),
                              hint="build with --no-cache") from None


def _exists(uppers: Sequence[Path], path: Path) -> bool:
    """Whether the topmost of `uppers` that says something of `path` has it."""
    for upper in uppers:
        with contextlib.suppress(OSError):
            return not is_whiteout((upper / path).lstat())
    return False


def _is_folder(uppers: Sequence[Path], path: Path) -> bool:
    for upper in uppers:
        with contextlib.suppress(OSError):
            return stat.S_ISDIR((upper / path).lstat().st_mode)
    return False


def _looks(folder: Path) -> tuple[int, int, int, int, list[tuple[bytes, bytes]]]:
    info = folder.lstat()
    return info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, attributes(folder)


def _dress(folder: Path, like: Path) -> None:
    """Give a fresh upper directory the looks of the root below it: overlayfs shows the upper's."""
    info = like.lstat()
    os.chown(folder, info.st_uid, info.st_gid)
    folder.chmod(stat.S_IMODE(info.st_mode))
    for name, value in attributes(like):
        if not name.startswith(b"overlay."):
            os.setxattr(folder, name, value)
    os.utime(folder, ns=(info.st_atime_ns, info.st_mtime_ns))
