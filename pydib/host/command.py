"""Ordinary programs: the one place that uses `sh`.

Three habits of `sh` are kept in here: importing it replaces `glob.glob` for the whole process (put back at once),
children get a terminal on stdout unless told otherwise, and error text is cut at 750 bytes (we keep our own copy).
Under pyfakefs `sh` would still reach the real host, so nothing runs while a fake filesystem is active.

Scripts of elements do not come through here: `host/script.py` runs those.
"""

from __future__ import annotations

import functools
import glob
import importlib
import io
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from pydib.errors import CommandFailed, EngineError, ToolMissing

PACKAGES = {
    "blkid": "util-linux", "btrfs": "btrfs-progs", "debootstrap": "debootstrap", "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "kpartx": "kpartx", "linux.uml": "user-mode-linux", "losetup": "util-linux", "lvcreate": "lvm2",
    "mcopy": "mtools", "mkfs.btrfs": "btrfs-progs", "mkfs.ext2": "e2fsprogs", "mkfs.ext3": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs", "mkfs.fat": "dosfstools",
    "mkfs.vfat": "dosfstools", "mkfs.xfs": "xfsprogs", "mkswap": "util-linux", "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools", "partx": "util-linux", "pvcreate": "lvm2", "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86", "sfdisk": "fdisk", "sgdisk": "gdisk", "unshare": "util-linux",
    "vgcreate": "lvm2",
}
"""Debian's package for a tool, for the advice in an error."""

_SHOWN_BYTES = 8192
"""Of what a program wrote into a file, in an error."""
SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


@functools.cache
def _sh() -> ModuleType:
    """The library, imported when the first program runs: that takes longer than many a command of ours."""
    kept = glob.glob
    module = importlib.import_module("sh")
    glob.glob = kept
    return module


def _search_path() -> str:
    """PATH, with the directories of system tools added: users often lack them (C-029)."""
    given = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    return os.pathsep.join([*given, *(entry for entry in SYSTEM_DIRECTORIES if entry not in given)])


def find_tool(name: str) -> str | None:
    """Path of the program `name`, or None."""
    return shutil.which(name, path=_search_path())


def require_tool(name: str, *, why: str = "") -> str:
    """Path of the program `name`.

    Raises:
        ToolMissing: with the package that has it.
    """
    found = find_tool(name)
    if found is None:
        package = PACKAGES.get(name, name)
        raise ToolMissing(f"the program {name} is not installed" + (f"; {why}" if why else ""),
                          hint=f"install it: apt-get install {package}")
    return found


def run(*argv: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None,
        stdin: bytes | BinaryIO = b"", accept: Sequence[int] = (0,), with_stderr: bool = False,
        more_env: Mapping[str, str] | None = None, into: BinaryIO | None = None) -> str:
    """Run a program to its end and give back what it wrote to stdout, decoded with surrogate escapes.

    Args:
        argv: the program and its arguments; never a shell line.
        env: its whole environment; by default ours with `LC_ALL=C`.
        cwd: where it runs.
        stdin: what it reads; a file, which it reads itself, where that may be much.
        accept: exit codes that are no failure.
        with_stderr: give what it wrote to stderr behind that: for programs that tell of failures only there.
        more_env: variables beside those.
        into: a file that it writes stdout and stderr into itself, where that may be much; it gives back nothing then.

    Raises:
        ToolMissing: there is no such program.
        CommandFailed: another exit code, with the end of stderr and stdout.
    """
    words = [str(word) for word in argv]
    if "pyfakefs" in sys.modules and _fake_filesystem_is_active():
        raise EngineError(f"`{words[0]}` would run on the real host while a fake filesystem is active",
                          hint="keep programs out of tests that use pyfakefs")
    program = words[0] if "/" in words[0] else require_tool(words[0])
    environment = dict(env) if env is not None else {**os.environ, "LC_ALL": "C", "PATH": _search_path()}
    environment.update(more_env or {})
    sh = _sh()
    out, err = (io.BytesIO(), io.BytesIO()) if into is None else (into, into)
    try:
        done = sh.Command(program)(
            *words[1:], _env=environment, _cwd=str(cwd) if cwd else None, _in=stdin, _tty_out=False, _tty_in=False,
            _ok_code=list(range(256)) + [-number for number in range(1, 65)], _return_cmd=True, _encoding="utf-8",
            _decode_errors="surrogateescape", _out=out, _err=err, _truncate_exc=False,
        )
    except sh.CommandNotFound:
        raise ToolMissing(f"the program {program} cannot be run") from None
    code = int(done.exit_code)
    output = _text(out, "surrogateescape")
    if code not in accept:
        raise CommandFailed(words, code, output + _text(err, "replace") if into is None else _end_of(into))
    return output + _text(err, "replace") if with_stderr else output


def _text(stream: BinaryIO, errors: str) -> str:
    return stream.getvalue().decode("utf-8", errors) if isinstance(stream, io.BytesIO) else ""


def _end_of(file: BinaryIO) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN_BYTES))
    return file.read().decode("utf-8", "replace")


def _fake_filesystem_is_active() -> bool:
    from pyfakefs.fake_filesystem_unittest import Patcher  # only when a test brought it in

    return bool(getattr(Patcher, "PATCHER", None))
