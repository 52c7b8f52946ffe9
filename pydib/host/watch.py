"""Which files are opened, and which are changed, in some directories: inotify(7), the one door to inotify_simple.

A watch sees a file whatever path leads to it: a script in a chroot that opens it through a bind mount is seen, too.
A bare question whether a file exists is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from inotify_simple import INotify, flags

_CHANGES = (flags.MODIFY | flags.ATTRIB | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
            | flags.DELETE_SELF | flags.MOVE_SELF)
_MASK = flags.OPEN | _CHANGES | flags.ONLYDIR | flags.DONT_FOLLOW


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What happened since the last look.

    Args:
        opened: paths of files that were opened, or directories that were listed.
        changed: whether anything was written, made, removed, or given other rights.
        complete: False when so much happened at once that the kernel forgot some of it.
    """

    opened: frozenset[Path] = field(default=frozenset())
    changed: bool = False
    complete: bool = True


class Watch:
    """Watches over directories, each with the files directly in it. A context manager."""

    def __init__(self) -> None:
        self._paths: dict[int, Path] = {}

    def __enter__(self) -> Watch:
        self._inotify = INotify()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._inotify.close()

    def add(self, folders: Iterable[Path]) -> None:
        """Watch `folders` too; a folder that is watched already stays so.

        Raises:
            OSError: the user's limit of watches is reached (fs.inotify.max_user_watches).
        """
        for folder in folders:
            try:
                self._paths[self._inotify.add_watch(folder, _MASK)] = folder
            except (FileNotFoundError, NotADirectoryError):
                continue  # it went meanwhile; its parent's watch tells that something changed

    def look(self) -> Seen:
        """What happened since the last look."""
        opened: set[Path] = set()
        changed = False
        complete = True
        while events := self._inotify.read(timeout=0):
            for watch, mask, _, name in events:
                if mask & flags.Q_OVERFLOW:
                    complete = False
                elif mask & _CHANGES:
                    changed = True
                elif mask & flags.OPEN and watch in self._paths:
                    opened.add(self._paths[watch] / name if name else self._paths[watch])
        return Seen(opened=frozenset(opened), changed=changed, complete=complete)


def folders_below(top: Path) -> list[Path]:
    """`top` and every directory in it, links not followed."""
    return [Path(place) for place, _, _ in os.walk(top)]
