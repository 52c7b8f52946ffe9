"""The target's tree as a stack of layers: mounted, its changes taken as a layer, set to a state of another build."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydib import clock
from pydib.errors import EngineError
from pydib.host.command import run
from pydib.host.machine import in_user_namespace
from pydib.host.mount import mount, unmount_below
from pydib.host.overlay import MOST_LOWERS, mount_overlay, move_mount, unmounted
from pydib.layer import keys
from pydib.layer.content import Window, content_of, is_whiteout
from pydib.layer.folders import dress, is_opaque, looks
from pydib.layer.links import Carried
from pydib.layer.mounts import ScriptMounts
from pydib.layer.records import LeftMount, State
from pydib.layer.store import BASE, Store, Work, remove

FULL_BYTES = 32 << 20
"""With less room than this a disk counts as full."""
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
        fold: writes directories of this build and machine as words.
        parking, private: as in ScriptMounts.
        objection: tells why changes, which lie in a directory, may not be kept; an empty text if they may.
    """

    def __init__(self, store: Store, place: Path, parking: Path, fold: keys.Fold, *, private: Sequence[Path],
                 objection: Callable[[Path], str]) -> None:
        self._store = store
        self.place = place
        self.mounts = ScriptMounts(place, parking, fold, [*private, store.folder])
        self._objection = objection
        self._tell_plain: Callable[[bool], None] | None = None
        self._carried = Carried(store.pool, store.layers) if in_user_namespace() else None
        self._work: Work | None = None
        self._begun_ns = self._written_ns = 0
        self._with_skeleton = False
        self._shown: tuple[Path, tuple[Path, ...]] | None = None
        """The upper directory and the lower ones, topmost first, as long as layers are mounted."""
        self._plain = False
        """Whether nothing lies below the changes, and so their directory itself is mounted: it is faster."""
        self.state = keys.EMPTY
        self.stopped = ""
        """Why no more layers are taken; empty as long as they are."""
        self.moved = ""
        """A folder that cannot be renamed here, and could in a plain directory, as somebody tried (see sees_rename)."""

    # where the tree stands

    def open(self, *, tell_plain: Callable[[bool], None] | None = None) -> None:
        """Mount an empty tree.

        Args:
            tell_plain: told, whenever the tree is mounted, whether what scripts change is a plain directory of the
                disk. Without it, it never is.
        """
        self._tell_plain = tell_plain
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
        self.place = self.mounts.place = place
        self.stopped = self.stopped or "the tree has moved"
        self._set_plain(False)

    def sees_rename(self, path: Path) -> None:
        """The directory `path` is about to be renamed. May be called by any thread.

        In a user namespace overlayfs cannot do that with a folder of a lower layer.
        """
        if self._shown is None or self._carried is None:
            return
        if not path.is_relative_to(self.place):
            self.moved = self.moved or ("" if path.exists() else str(path))
        elif self._lies_on_overlay(path) and _is_of_a_lower(path.relative_to(self.place), *self._shown):
            self.moved = self.moved or f"/{path.relative_to(self.place)}"

    def _lies_on_overlay(self, path: Path) -> bool:
        """Whether it is the tree's own, not on something that is mounted in it."""
        return path.lstat().st_dev == self.place.lstat().st_dev

    def become_plain(self, *, with_changes: bool) -> bool:
        """Copy the tree into a plain directory, which takes its place; False, and nothing done, when it is in use.

        Args:
            with_changes: whether what was not taken as a layer stays.
        """
        assert self._work is not None
        made = self._store.work()
        plain = made.folder / "plain"
        with self.mounts.parked():
            if not unmounted(self.place):
                remove(made.folder)
                return False
            if with_changes:
                self._mount_again()
            else:
                self._discard()
                self._mount(self.state, skeleton=self._with_skeleton)
            run("cp", "--archive", "--reflink=auto", "--no-target-directory", "--", self.place, plain)
            unmount_below(self.place, itself=True)
            self._shown = None
            self._discard()
            mount(plain, self.place, options="bind")
        self._work, self._carried, self.moved = made, None, ""
        return True

    def stop(self, why: str) -> str:
        """Take no more layers, because of `why`, unless none are taken already; gives the state that the tree is in.

        Without root the tree becomes a plain directory then, if it can: from now on nobody looks after it.
        """
        if not self.stopped:
            self.stopped = why
            if self._carried is not None and self._work is not None and not self._plain:
                self.become_plain(with_changes=True)
        return self.state

    def go_to(self, state: str, *, skeleton: bool) -> None:
        """Let the tree be in `state`. It must have no changes that were not settled.

        Args:
            skeleton: whether it offers the place for the hook tree.

        Raises:
            EngineError: something holds the tree, or a mount that a script left cannot be made again.
        """
        if self.stopped or (state == self.state and (skeleton == self._with_skeleton)):
            return
        with self.mounts.parked():
            if not unmounted(self.place):
                raise EngineError("the tree is in use and cannot be set to another state", where=str(self.place),
                                  hint="build with --no-cache")
            self._written_ns = clock.since_1970_ns()
            self._discard()
            self._mount(state, skeleton=skeleton)
        self.mounts.restore(self._mounts())

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
        left = self.mounts.left()
        if isinstance(left, str):
            return self.stop(left)
        if self._is_untouched():
            if left != self._mounts():
                self.state = self._store.take(self._store.work(), self._new_state("", left, author)).id
            return self.state
        if self._depth() + 2 > MOST_LOWERS:
            return self.stop(f"the tree has {MOST_LOWERS} layers, as many as the kernel stacks")
        self._refuse_full_disk(author)
        if self._carried is None:
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
        with self.mounts.parked():
            if not unmounted(self.place):
                return self.stop(f"something still uses the tree after {author.name}")
            self._written_ns = ended_ns = clock.since_1970_ns()
            try:
                remove(self._work.folder / "w")  # and with it hard links of the layer's files
                if self._carried is not None:
                    self._carried.take_back(self._work.upper)
                if why := self._objection(self._work.upper):
                    self._mount_again()
                    return self.stop(why)
                content = content_of(self._work.upper, Window(begun_ns=self._begun_ns, ended_ns=ended_ns))
                if content.marked and self._plain:
                    self._mount_again()
                    return self.stop(f"/{content.marked}, which {author.name} made, is to overlayfs a mark of its own")
                taken = self._store.take(self._work, self._new_state(
                    content.digest, left, author, upper="u", signature=content.signature,
                    window=(self._begun_ns, ended_ns), files=content.files, size_bytes=content.size_bytes))
            except OSError as error:
                self._mount_again()
                return self.stop(f"the store cannot take more layers: {error.strerror}")
            self._work = None
            self._mount(taken.id, skeleton=self._with_skeleton)
        return self.state

    def _mount_again(self) -> None:
        """The same changes as before on the same layers, after they could not be taken."""
        assert self._work is not None
        remove(self._work.folder / "w")
        (self._work.folder / "w").mkdir()
        lowers = self._lowers(self.state)
        self._carry(self._work, lowers)
        self._show(lowers, self._work)

    def _new_state(self, content: str, left: tuple[LeftMount, ...], author: Author, **more: object) -> State:
        name = keys.state_id(self.state, content, [asdict(one) for one in left])
        return State(id=name, parent=self.state, content=content, mounts=left, made_by=author.name,
                     element=author.element, phase=author.phase, created=clock.since_1970(), **more)  # type: ignore[arg-type]

    def _is_untouched(self) -> bool:
        assert self._work is not None
        if not self._holds_nothing():
            return False
        now, before = looks(self._work.upper), self._root_before
        deliberate = now[3] != before[3] and now[3] < self._begun_ns
        return now[:3] == before[:3] and now[4] == before[4] and not deliberate

    def _holds_nothing(self) -> bool:
        assert self._work is not None
        if self._carried is not None:
            return self._carried.is_all_of(self._work.upper)
        with os.scandir(self._work.upper) as entries:
            return next(entries, None) is None

    def _mounts(self) -> tuple[LeftMount, ...]:
        state = self._store.state(self.state)
        return state.mounts if state is not None else ()

    def _depth(self) -> int:
        return sum(1 for state in self._store.chain(self.state) or () if state.upper)

    def _relink(self) -> None:
        """Names that are hard links of a file that was written to, but lie in lower layers, come up beside it: within
        one overlay the kernel knows that they belong together, the next one would not."""
        assert self._work is not None
        if self.state == keys.EMPTY:
            return  # nothing lies in lower layers
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
        dress(work.upper, self._store.layers / lowers[0])
        self._carry(work, lowers)
        if skeleton:
            self._make_place(work, lowers)
        self._root_before = looks(work.upper)
        self._show(lowers, work)
        self._begun_ns = clock.after(self._written_ns)
        self._work, self.state, self._with_skeleton = work, state, skeleton

    def _carry(self, work: Work, lowers: Sequence[str]) -> None:
        if self._carried is not None:
            self._carried.put(work.upper, lowers)
            self._written_ns = clock.since_1970_ns()

    def _set_plain(self, plain: bool) -> None:
        self._plain = plain
        if self._tell_plain is not None:
            self._tell_plain(plain)

    def _show(self, lowers: Sequence[str], work: Work) -> None:
        self._shown = (work.upper, tuple(self._store.layers / name for name in lowers))
        self._set_plain(self._tell_plain is not None and list(lowers) == [BASE] and not work.place.exists())
        if self._plain:
            mount(work.upper, self.place, options="bind")
            return
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
        dress(work.place, work.upper)
        covered = next((folder for folder in (self._store.layers / name / PLACE.parent for name in lowers)
                        if folder.exists() or folder.is_symlink()), None)
        assert covered is not None
        (work.place / PLACE).mkdir(parents=True)
        (work.place / PLACE).chmod(0o755)
        dress(work.place / PLACE.parent, covered)
        dress(work.place, work.upper)

    def _discard(self) -> None:
        if self._work is not None:
            if self._carried is not None:
                self._carried.take_back(self._work.upper)
            remove(self._work.folder)
            self._work = None

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


def _is_of_a_lower(inside: Path, upper: Path, lowers: Sequence[Path]) -> bool:
    """Whether the folder `inside` of the tree comes from a lower layer, wholly or in part."""
    place = upper
    for part in inside.parts:
        place = place / part
        if not os.path.lexists(place):
            return True
        if is_opaque(place):
            return False
    return _is_folder(lowers, inside)
