"""Making the hook tree on disk: every element's files in one place (contract section 3)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydib.element.hooks import Entry
from pydib.errors import HookConflict
from pydib.events import Note, Reporter
from pydib.host.machine import in_user_namespace

INSTALL_TYPE_FILE = "environment.d/11-dib-install-type.bash"


def make_hook_tree(entries: Iterable[Entry], tree: Path, report: Reporter) -> None:
    """Copy `entries` in their order into `tree`: modes, times, owners and extended attributes kept, links not
    followed below the first level (C-070, C-073).

    Raises:
        HookConflict: a folder of one element meets a file of another (C-075).
    """
    tree.mkdir(mode=0o755, exist_ok=True)
    told: set[str] = set()
    for entry in entries:
        if entry.element not in told:
            told.add(entry.element)
            report(Note(text=f"Copying hooks for {entry.element}"))
        try:
            _copy(entry, tree / entry.target)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise HookConflict(f"{entry.target} is a folder in one element and a file in another",
                               where=str(entry.source), hint="rename one of the two") from None


def _copy(entry: Entry, target: Path) -> None:
    top_level = "/" not in entry.target
    if not entry.is_dir:
        if entry.source.is_symlink() and not top_level:
            _link(entry.source, target)
        elif not entry.source.is_symlink() or entry.source.exists():
            _file(entry.source, target)
    elif top_level:
        target.mkdir(exist_ok=True)
        _metadata(entry.source, target)
    else:
        _folder(entry.source, target)


def _folder(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    with os.scandir(source) as items:
        for item in items:
            there = target / item.name
            if item.is_symlink():
                _link(Path(item.path), there)
            elif item.is_dir():
                _folder(Path(item.path), there)
            elif item.is_file():
                _file(Path(item.path), there)
    _metadata(source, target)


def _link(source: Path, target: Path) -> None:
    if target.is_symlink() or target.is_file():
        target.unlink()
    target.symlink_to(os.readlink(source))
    shutil.copystat(source, target, follow_symlinks=False)


def _file(source: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(target)
    if target.is_symlink() or target.exists():
        target.unlink()
    shutil.copyfile(source, target)
    _metadata(source, target)


def _metadata(source: Path, target: Path) -> None:
    """Mode, times, extended attributes, and the owner where we may. An ordinary user's build knows the owners of few
    files: all are root's there, as in a build by root."""
    info = source.stat()
    if os.geteuid() == 0 and not in_user_namespace():
        os.chown(target, info.st_uid, info.st_gid)
    shutil.copystat(source, target)


def write_install_type(tree: Path, install_type: str) -> None:
    """The environment.d file that makes the default install type visible to scripts (C-081, C-092)."""
    path = tree / INSTALL_TYPE_FILE
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(f"export DIB_DEFAULT_INSTALLTYPE=${{DIB_DEFAULT_INSTALLTYPE:-{install_type}}}\n")
