"""What scripts can see of the hook tree, and what they did see: names and modes, and the files that they opened."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from pydib.host.watch import Seen, Watch, folders_below

ABSENT, EVERYTHING = "absent", "*"


class Traced:
    """The hook tree, and the folders of elements, under watch. A context manager.

    Args:
        hooks: the hook tree.
        is_script: whether the path of an executable file, relative to the hook tree, is a script of a phase.
    """

    def __init__(self, hooks: Path, is_script: Callable[[str], bool]) -> None:
        self._hooks = hooks
        self._is_script = is_script
        self._roots: dict[str, Path] = {"": hooks}
        self._digests: dict[str, str] = {}
        self._names: dict[str, str] | None = None
        self._changed = False
        self.blind = ""
        """Why not everything is seen: the user's limits of inotify are reached. Empty when it is."""

    def __enter__(self) -> Traced:
        self._stack = ExitStack()
        self._watch: Watch | None = None
        try:
            self._watch = self._stack.enter_context(Watch())
        except OSError as error:
            self.blind = error.strerror or str(error)
        self._add(folders_below(self._hooks))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.close()

    def _add(self, folders: Iterable[Path]) -> None:
        if self._watch is None:
            return
        try:
            self._watch.add(folders)
        except OSError as error:
            self.blind = error.strerror or str(error)

    def _look(self) -> Seen:
        return self._watch.look() if self._watch is not None else Seen(changed=True, complete=False)

    def add_elements(self, elements: Mapping[str, Path]) -> None:
        """Watch over these elements' own folders, too: scripts on the host may open files there."""
        for name, path in elements.items():
            self._roots[f"element {name}/"] = path
            self._add(folders_below(path))

    def names(self) -> Mapping[str, str]:
        """Mode and type of each thing in the hook tree that is no script, and where links lead."""
        self._notice()
        if self._names is None:
            self._names = dict(self._inventory())
            self._notice()
        return self._names

    def _inventory(self) -> Iterable[tuple[str, str]]:
        for place, folders, files in os.walk(self._hooks):
            for name in (*folders, *files):
                path = Path(place, name)
                inside = str(path.relative_to(self._hooks))
                info = path.lstat()
                if stat.S_ISLNK(info.st_mode):
                    if not (self._is_script(inside) and _runs(path)):
                        yield inside, f"-> {os.readlink(path)}{self._outside(path)}"
                elif not (stat.S_ISREG(info.st_mode) and info.st_mode & 0o111 and self._is_script(inside)):
                    yield inside, f"{info.st_mode:o}"

    def _outside(self, link: Path) -> str:
        """What no watch sees: the content of a file outside of the tree that a link leads to."""
        real = Path(os.path.realpath(link))
        if real.is_relative_to(self._hooks.resolve()) or not real.is_file():
            return ""
        return " " + digest_of(real)

    def begin(self) -> None:
        """A script begins: what was opened until now was not opened by it."""
        self._notice()

    def end(self, script: str) -> tuple[dict[str, str], bool]:
        """A script ended: digests of what it opened, and whether it changed the hook tree.

        When it opened more than the kernel could tell, everything counts as opened.
        """
        seen = self._look()
        if seen.changed:
            self._forget()
        opened = {self._path_of(path) for path in seen.opened} - {"", script}
        if not seen.complete:
            opened = {EVERYTHING}
        trace = {path: self.digest(path) for path in sorted(opened)}
        changed, self._changed = self._changed, False
        self._look()  # our own reading
        return trace, changed

    def digest(self, path: str) -> str:
        """The digest of a path of a trace as it is now: a file's content, or the names in a folder."""
        if path not in self._digests:
            if path == EVERYTHING:
                self._digests[path] = self._digest_of_all()
            else:
                self._digests[path] = digest_of(self._real(path))
        return self._digests[path]

    def text(self, path: str) -> bytes:
        """The content of the file at a path of a trace; empty if there is none."""
        try:
            return self._real(path).read_bytes()
        except OSError:
            return b""

    def _real(self, path: str) -> Path:
        root = next((name for name in self._roots if name and path.startswith(name)), "")
        return self._roots[root] / path[len(root):]

    def _digest_of_all(self) -> str:
        total = hashlib.sha256()
        for root in self._roots.values():
            for place, folders, files in os.walk(root):
                folders.sort()
                for name in sorted(files):
                    total.update(f"{name}={digest_of(Path(place, name))}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest()

    def _path_of(self, path: Path) -> str:
        for name, root in self._roots.items():
            if path.is_relative_to(root):
                return name + str(path.relative_to(root)) if path != root else name + "."
        return ""

    def _notice(self) -> None:
        """Take in what happened since the last look, whoever did it."""
        seen = self._look()
        if seen.changed or not seen.complete:
            self._forget()

    def _forget(self) -> None:
        self._changed = True
        self._names = None
        self._digests = {}
        self._add(folders_below(self._hooks))


def _runs(link: Path) -> bool:
    try:
        info = link.stat()
    except OSError:
        return False
    return stat.S_ISREG(info.st_mode) and bool(info.st_mode & 0o111)


def digest_of(path: Path) -> str:
    """A file's content as traces have it, links followed; of a folder its names; ABSENT when there is none."""
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            names = sorted(os.listdir(path), key=os.fsencode)
            return "folder " + hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
        if not stat.S_ISREG(info.st_mode):
            return "special"
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ABSENT
