"""The hook tree: what all elements together bring, and the order in which scripts run (contract sections 3, 4)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydib.element.shelf import Element
from pydib.errors import ElementError, HookConflict

NOT_MERGED = frozenset({"tests", "__pycache__"})
SCRIPT_NAME = r"^[0-9A-Za-z_-]+\Z"
"""Names that run (C-084); the environment variable RUN_PARTS_REGEX overrides it."""
ENVIRONMENT_NAME = re.compile(r"^[0-9A-Za-z_.-]+\Z")
_LEADING_NUMBER = re.compile(r"^-?\d+")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing to copy: `source` of `element` becomes `target`, a path relative to the hook tree.

    A file or a link when `is_dir` is false, else a folder with all below it.
    """

    source: Path
    target: str
    element: str
    is_dir: bool


def merge(elements: Iterable[Element]) -> tuple[Entry, ...]:
    """What to copy to make the hook tree, in order: a later entry with the same target wins (C-075, C-076).

    Raises:
        HookConflict: two elements bring the same first-level file into a folder (C-074).
        ElementError: an element's folder cannot be read.
    """
    entries: list[Entry] = []
    owner: dict[str, Entry] = {}
    for element in elements:
        for entry in _entries(element):
            earlier = owner.get(entry.target)
            if earlier is not None and "/" in entry.target and not earlier.is_dir:
                raise _conflict(earlier, entry)
            owner[entry.target] = entry
            entries.append(entry)
    return tuple(entries)


def _entries(element: Element) -> Iterator[Entry]:
    try:
        for top in sorted(os.scandir(element.path), key=lambda item: item.name):
            source = element.path / top.name
            if top.is_dir():
                if top.name not in NOT_MERGED:
                    yield from _inside(element, source)
            elif top.is_file() and not top.name.endswith(".pyc"):
                yield Entry(source=source, target=top.name, element=element.name, is_dir=False)
    except OSError as error:
        raise ElementError(f"element {element.name} cannot be read: {error.strerror}",
                           where=str(element.path)) from None


def _inside(element: Element, folder: Path) -> Iterator[Entry]:
    """The folder itself, then what is not hidden in it (C-072)."""
    yield Entry(source=folder, target=folder.name, element=element.name, is_dir=True)
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if not item.name.startswith("."):
            is_dir = item.is_dir(follow_symlinks=False)
            yield Entry(source=folder / item.name, target=f"{folder.name}/{item.name}", element=element.name,
                        is_dir=is_dir)


def _conflict(earlier: Entry, later: Entry) -> HookConflict:
    return HookConflict(
        f"duplicated hook: elements {earlier.element} and {later.element} both have {later.target}",
        where=f"{earlier.source} and {later.source}",
        hint="rename one of the two, or leave out one of the elements")


def order_key(name: str) -> tuple[int, bytes]:
    """`sort -n` in the C locale: the leading integer, none counting as 0, then byte order (C-085)."""
    number = _LEADING_NUMBER.match(name)
    return (int(number[0]) if number else 0, os.fsencode(name))


_CLASSES = {"alnum": "0-9A-Za-z", "alpha": "A-Za-z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "space": r"\s",
            "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9A-Fa-f"}


def name_regex(pattern: str) -> re.Pattern[str]:
    """RUN_PARTS_REGEX as a regular expression: DIB gives it to `grep -E`, so POSIX classes such as `[[:alnum:]]` are
    known (C-084).

    Raises:
        ElementError: it is no regular expression.
    """
    try:
        return re.compile(re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), pattern))
    except re.error as error:
        raise ElementError(f"RUN_PARTS_REGEX is no regular expression: {error}", where=pattern,
                           hint="correct it, or unset it") from None


@dataclass(frozen=True)
class Scripts:
    """The scripts of one folder in the order in which they run, and the names that were passed over."""

    names: tuple[str, ...]
    ignored: tuple[str, ...]


def scripts_in(folder: Path, *, name_pattern: str = SCRIPT_NAME) -> Scripts:
    """The scripts of a phase's folder (C-083 to C-086); empty when there is no such folder.

    A script is a regular file, or a link to one, that is executable and whose name matches.
    """
    pattern = name_regex(name_pattern)
    chosen: list[str] = []
    ignored: list[str] = []
    for name, mode in _files(folder):
        if not mode & 0o111:
            continue
        (chosen if pattern.search(name) else ignored).append(name)
    return Scripts(tuple(sorted(chosen, key=order_key)), tuple(sorted(ignored)))


def environment_files(tree: Path) -> tuple[str, ...]:
    """Names in environment.d, in byte order (C-087, C-088)."""
    names = [name for name, _ in _files(tree / "environment.d") if ENVIRONMENT_NAME.match(name)]
    return tuple(sorted(names, key=os.fsencode))


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and mode of each regular file, links followed."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        try:
            mode = os.stat(folder / name).st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode):
            yield name, mode
