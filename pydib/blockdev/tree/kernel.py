"""Filesystems that only a kernel fills with all that a tree can hold: xfs, btrfs.

Their own tools lose things (`mkfs.xfs -p`: times, attributes, hard links, names with blanks; `mkfs.btrfs --rootdir`:
parts of seconds, holes, files whose numbers are not unique). So a user-mode Linux, a kernel that is an ordinary process
(Debian's package user-mode-linux), mounts the file as its disk and unpacks the tree: no root, no loop device, and the
same code that a mounted disk in device mode is written by.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydib.blockdev.nodes import Mkfs
from pydib.errors import BlockDeviceError, CommandFailed
from pydib.host.command import require_tool, run
from pydib.host.mount import mounted

PROGRAM = "linux.uml"
FILLED_BY_KERNEL = ("xfs", "btrfs")
_INIT = Path(__file__).with_name("user-mode-linux-init")
_LAST_WORD = "pydib: the tree is in its filesystem"
_MEMORY = "512M"
_SETUID = ("mount", "umount")
"""Programs that take their file's owner as their user, who in a user namespace is nobody: copies do not."""
_FULL = ("No space left on device", ": Wrote only ")
_KERNEL_LINE = re.compile(r"^(\[ *\d|XFS \(|BTRFS|SELinux:|mmapper|sysrq:|reboot:)")
_WORD = re.compile(r"[A-Za-z0-9/._+@~-]+")


def fill_by_kernel(node: Mkfs, image: Path, tree: Path, work: Path, *, moment: int | None = None) -> None:
    """Put what is in `tree` into the filesystem `node` in `image`, a file that holds nothing else.

    Args:
        work: an existing folder for what this needs; empty of it afterwards.
        moment: no file says that it was changed after that, in seconds since 1970; None keeps all times.

    Raises:
        BlockDeviceError: the tree does not fit, or the kernel refuses the filesystem.
        CommandFailed, ToolMissing: from tar and the user-mode Linux.
    """
    if not _WORD.fullmatch(f"{work}{image}"):
        raise BlockDeviceError("a kernel's command line cannot hold the name of this folder", where=str(work),
                               hint="set TMPDIR to a folder whose name has only letters, digits and . _ -")
    with _room(tree, work, moment) as room:
        try:
            told = run(PROGRAM, f"mem={_MEMORY}", "rootfstype=hostfs", "ro", f"ubda={image}", "con=null",
                       "con0=null,fd:1", "ssl=null", "quiet", f"uml_dir={room}/own/", f"pydib_work={room}",
                       f"pydib_type={node.type}", f"init={room}/init", env={**os.environ, "TMPDIR": str(room)})
        except CommandFailed as problem:
            raise _failure(node, problem.output) from None
        if _LAST_WORD not in told:
            raise _failure(node, told)


def _failure(node: Mkfs, told: str) -> BlockDeviceError:
    if any(words in told for words in _FULL):
        return BlockDeviceError(f"the tree does not fit into the filesystem {node.name}", where=node.where,
                                hint="the image is too small for the tree: give --image-size (GiB) or "
                                     "--image-extra-size (MiB)")
    lines = [line for line in told.partition("Kernel panic")[0].replace("\r", "").splitlines()
             if line.strip() and not _KERNEL_LINE.match(line)]
    shown = "\n".join("    " + line for line in lines[-8:])
    return BlockDeviceError(f"a user-mode Linux could not fill the {node.type} filesystem {node.name}\n{shown}",
                            where=node.where, hint="build with --assemble device, or with another type of filesystem")


@contextmanager
def _room(tree: Path, work: Path, moment: int | None) -> Iterator[Path]:
    """A folder with all that the first process in there reads: the tree, packed and as it is, and a mount point."""
    room = work / "room"
    with ExitStack() as stack:
        for folder in (room, room / "mnt", room / "tree"):
            folder.mkdir()
            stack.callback(folder.rmdir)
        (room / "own").mkdir()
        stack.callback(shutil.rmtree, room / "own")
        stack.enter_context(mounted(tree, room / "tree", options="bind"))
        for name in ("tree.tar", "sockets", "init", *_SETUID):
            stack.callback((room / name).unlink, missing_ok=True)
        for name in ("init", *_SETUID):
            shutil.copyfile(_INIT if name == "init" else require_tool(name), room / name)
            (room / name).chmod(0o755)
        (room / "sockets").write_bytes(b"".join(os.fsencode(word) + b"\0" for words in sockets(tree, moment)
                                                for word in words))
        _pack(tree, room / "tree.tar", moment)
        yield room


def _pack(tree: Path, archive: Path, moment: int | None) -> None:
    clamped = [f"--mtime=@{moment}", "--clamp-mtime"] if moment is not None else []
    try:
        run("tar", "--create", "--file", archive, "--directory", tree, "--format=posix", "--numeric-owner", "--sparse",
            "--xattrs", "--xattrs-include=*", "--acls", "--no-check-device",
            "--pax-option=delete=atime,delete=ctime", *clamped, ".")
    except CommandFailed as problem:
        if not any(words in problem.output for words in _FULL):
            raise
        raise BlockDeviceError("there is no room for the packed tree", where=str(archive),
                               hint="build with --no-tmpfs, or set TMPDIR to a disk with more room") from None


def sockets(tree: Path, moment: int | None = None) -> Iterator[tuple[str, str, str]]:
    """The sockets in `tree`, which tar leaves out: path, beginning with `./`; its time, and that of its folder, in
    seconds with nine decimals, but not after `moment`."""
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            found = path.lstat()
            if stat.S_ISSOCK(found.st_mode):
                yield f"./{path.relative_to(tree)}", _time(found, moment), _time(path.parent.lstat(), moment)


def _time(found: os.stat_result, moment: int | None) -> str:
    changed = found.st_mtime_ns if moment is None else min(found.st_mtime_ns, moment * 1_000_000_000)
    seconds, nanoseconds = divmod(abs(changed), 1_000_000_000)
    return f"{'-' if changed < 0 else ''}{seconds}.{nanoseconds:09}"
