"""What a tree holds of the very build that made it, and nobody wants in an image: each is made to say nothing of when,
where and how often it was built.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from pydib.host.inside import is_inside

_DAY = 24 * 3600
_NANOSECONDS = 1_000_000_000
_CACHES = ("var/cache/ldconfig/aux-cache",)
"""Caches that their programs make again, and that hold times and inode numbers of the build's own disk."""
_NEVER_EXPIRES = 9999
"""Days between changes of a password, from which on nobody means that it expires; login.defs has 99999."""
_SHADOWS = ("etc/shadow", "etc/shadow-")
_PYC_HEADER = struct.Struct("<4sIII")
"""Magic number, flags, time and size of the source (PEP 552)."""


def normalise(root: Path, moment: int) -> None:
    """Make the target's files say nothing of the build itself.

    Args:
        moment: the moment for which the image is made, in seconds since 1970; what is later becomes that.
    """
    for name in _CACHES:
        if _is_file(root, name):
            (root / name).unlink()
    for name in _SHADOWS:
        if _is_file(root, name):
            _rewrite(root / name, lambda text: _aged_shadow(text, moment // _DAY))
    for path in _compiled(root):
        _age_compiled(path, moment)


def age(root: Path, moment: int) -> None:
    """Let no file of the filesystem mounted at `root` say that it was changed after `moment`, in seconds since 1970."""
    device = root.lstat().st_dev
    for folder, folders, names in os.walk(root, topdown=False):
        for name in (*folders, *names, "."):
            path = os.path.join(folder, name)
            found = os.lstat(path)
            if found.st_dev == device and found.st_mtime_ns > moment * _NANOSECONDS:
                os.utime(path, (moment, moment), follow_symlinks=False)


def _is_file(root: Path, name: str) -> bool:
    path = root / name
    return is_inside(root, str(Path(name).parent)) and not path.is_symlink() and path.is_file()


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    text = path.read_bytes()
    changed = change(text)
    if changed != text:
        path.write_bytes(changed)


def _aged_shadow(text: bytes, day: int) -> bytes:
    """The day of the last change of a password (shadow(5)), where it is later than `day`. Passwords that expire keep
    it: they would do so too early."""
    def line(found: re.Match[bytes]) -> bytes:
        expires = bool(found[3]) and int(found[3]) < _NEVER_EXPIRES
        return found[0] if expires else found[1] + str(min(int(found[2]), day)).encode()

    return re.sub(rb"^([^:\n]*:[^:\n]*:)(\d+)(?=:\d*:(\d*))", line, text, flags=re.MULTILINE)


def _compiled(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if folder == str(root):
            folders[:] = [name for name in folders if name not in ("proc", "dev", "sys")]
        if folder.endswith("/__pycache__"):
            yield from (Path(folder, name) for name in names if name.endswith(".pyc"))


def _age_compiled(path: Path, moment: int) -> None:
    """Python compiles a module again when the time of its source is not the one in here."""
    with contextlib.suppress(OSError, struct.error):
        if not stat.S_ISREG(path.lstat().st_mode):
            return
        with path.open("rb") as file:
            magic, flags, changed, size = _PYC_HEADER.unpack(file.read(_PYC_HEADER.size))
        if flags == 0 and changed > moment:  # only then: opened for writing a file moves to the topmost layer
            with path.open("r+b") as file:
                file.write(_PYC_HEADER.pack(magic, flags, moment & 0xFFFFFFFF, size))
