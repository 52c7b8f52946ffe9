"""FAT from a tree (mkfs.fat(8), mcopy(1)).

FAT has no owners, modes and extended attributes, so they are left out, as it is in device mode. What it cannot hold
and what would be lost in silence is refused: links, devices, names that it does not know or does not tell apart, and
names beyond ASCII, whose case mtools changes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pydib.blockdev.filesystem import made_at
from pydib.blockdev.nodes import Mkfs
from pydib.errors import BlockDeviceError
from pydib.host.command import run

LARGEST_FILE_BYTES = 2**32 - 1
_FORBIDDEN = set('"*/:<>?\\|')
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}


def fill_fat(node: Mkfs, image: Path, tree: Path, *, moment: int | None = None) -> None:
    """Copy what is in `tree` into the filesystem in `image`, a file that holds nothing else, in the order of names.

    Args:
        moment: no file was changed after that, in seconds since 1970: the tree's files get it where they were.

    Raises:
        BlockDeviceError: the tree has what FAT cannot hold, or does not fit.
        CommandFailed, ToolMissing: from mcopy.
    """
    for problem in problems(tree):
        raise BlockDeviceError(f"{problem}, which cannot be put on FAT", where=node.where,
                               hint="keep it out of that folder, or give the filesystem another type")
    for folder, inside in _folders(tree):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            if moment is not None and entry.stat().st_mtime > moment:
                os.utime(entry.path, (moment, moment))
        files = [entry.path for entry in entries if not entry.is_dir()]
        if inside:
            _mtools("mmd", image, f"::{inside}", moment=moment)
        if files:
            _mtools("mcopy", image, "-p", "-m", "-Q", "--", *files, f"::{inside}/", moment=moment)


def _folders(tree: Path, inside: str = "") -> Iterator[tuple[Path, str]]:
    """The folders of `tree`, each with its path in there: parents first, then by name."""
    yield tree, inside
    for entry in sorted(os.scandir(tree), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _folders(Path(entry.path), f"{inside}/{entry.name}")


def _mtools(program: str, image: Path, *words: str, moment: int | None) -> None:
    run(program, "-i", image, *words, more_env={**_ENVIRONMENT, **made_at(moment)})


def problems(tree: Path, inside: str = "") -> Iterator[str]:
    """What in `tree` FAT cannot hold, the beginning of a sentence each."""
    seen: dict[str, str] = {}
    for entry in sorted(os.scandir(tree), key=lambda entry: entry.name):
        path = f"{inside}/{entry.name}"
        found = entry.stat(follow_symlinks=False)
        if what := _problem(entry.name, found, seen):
            yield f"{path} {what}"
        seen[entry.name.lower()] = entry.name
        if stat.S_ISDIR(found.st_mode):
            yield from problems(Path(entry.path), path)


def _problem(name: str, found: os.stat_result, seen: dict[str, str]) -> str:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return "is a symbolic link" if stat.S_ISLNK(found.st_mode) else "is a device, pipe or socket"
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        return "has hard links"
    if found.st_size > LARGEST_FILE_BYTES and stat.S_ISREG(found.st_mode):
        return "has 4 GiB or more"
    if not (name.isascii() and name.isprintable()) or _FORBIDDEN & set(name) or name.endswith((" ", ".")):
        return "has such a name"
    if name.lower() in seen:
        return f"has the name of {seen[name.lower()]} but for its case"
    return ""
