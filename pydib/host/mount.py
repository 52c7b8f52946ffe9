"""Mounts: made with mount(2), or mount(8) where that knows more; found in /proc/self/mountinfo (proc(5)), undone with
umount2(2)."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydib.errors import BlockDeviceError, CommandFailed
from pydib.host import kernel
from pydib.host.command import run

MOUNTINFO = Path("/proc/self/mountinfo")
PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 3.0)
"""Seconds between the tries to unmount something that is busy."""

_MNT_DETACH = 2
_OCTAL = re.compile(rb"\\([0-7]{3})")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class MountPoint:
    """One line of mountinfo: where something is mounted, its type and what is mounted.

    `identity` is the kernel's number of the mount, `parent` that of the mount it lies in; `device` and `root` tell the
    filesystem and which of its directories is seen; `options` those of this mount, `super_options` the filesystem's.
    """

    target: Path
    fstype: str
    source: str
    identity: int = field(default=0, compare=False)
    parent: int = field(default=0, compare=False)
    device: str = field(default="", compare=False)
    root: str = field(default="/", compare=False)
    options: str = field(default="", compare=False)
    super_options: str = field(default="", compare=False)


@contextmanager
def mounted(source: str | Path, target: Path, *, fstype: str = "", options: str = "") -> Iterator[Path]:
    """Keep `source` mounted on the existing directory `target` for as long as the block lasts.

    Args:
        source: a device, a directory (with the option `bind`), or a name for filesystems without device.
        fstype: type of the filesystem; found out when empty.
        options: as behind `mount -o`.

    Raises:
        CommandFailed: mount(8) refuses.
        BlockDeviceError: after an orderly end it stays busy; it is detached lazily then.
    """
    mount(source, target, fstype=fstype, options=options)
    try:
        yield target
    except BaseException:
        detach(target)
        raise
    unmount(target)


def mount(source: str | Path, target: Path, *, fstype: str = "", options: str = "") -> None:
    """Mount `source` on the existing directory `target`; as in `mounted`."""
    words = [*(["-t", fstype] if fstype else []), *(["-o", options] if options else [])]
    if not (options in _BINDS or fstype in _WITHOUT_DEVICE):
        run("mount", *words, "--", source, target)
        return
    try:
        _mount_directly(source, target.resolve(), fstype, options)
    except OSError as error:
        raise CommandFailed(["mount", *words, str(source), str(target)], 32,
                            f"mount: {target}: {error.strerror}") from None


_BINDS = {"bind": kernel.MS_BIND, "bind,ro": kernel.MS_BIND, "rbind": kernel.MS_BIND | kernel.MS_REC}
_WITHOUT_DEVICE = ("proc", "sysfs", "devpts", "tmpfs")


def _mount_directly(source: str | Path, target: Path, fstype: str, options: str) -> None:
    """What needs no knowledge of filesystems takes one system call instead of a program."""
    if options in _BINDS:
        kernel.mount(source, target, flags=_BINDS[options])
        if options == "bind,ro":
            kernel.make_read_only(target)
        return
    words = [word for word in options.split(",") if word not in ("", "rw", "ro")]
    read_only = "ro" in options.split(",")
    kernel.mount(source, target, fstype=fstype, flags=kernel.MS_RDONLY if read_only else 0, data=",".join(words))


def unmount(target: Path, *, patience: Sequence[float] = PATIENCE) -> None:
    """Unmount `target`; while it is busy try again after each of the seconds in `patience`.

    Raises:
        BlockDeviceError: it stays busy, with the processes that hold it; it has been detached lazily.
    """
    for wait in (*patience, None):
        problem = _umount(target, 0)
        if problem != errno.EBUSY or wait is None:
            break
        time.sleep(wait)
    if problem == errno.EBUSY:
        held_by = holders(target)
        detach(target)
        raise BlockDeviceError("a filesystem was still in use and could not be unmounted in order", where=str(target),
                               hint="these hold it: " + (", ".join(held_by) or "nothing that can be seen from here"))
    if problem:
        raise BlockDeviceError(f"unmounting failed: {os.strerror(problem)}", where=str(target),
                               hint="see `findmnt` for what is mounted")


def detach(target: Path) -> None:
    """Unmount `target` lazily (MNT_DETACH); not being mounted is fine."""
    _umount(target, _MNT_DETACH)


def sync_filesystem(path: Path) -> None:
    """Write out everything that the filesystem at `path` still holds in memory (syncfs(2)); no other filesystem.

    Raises:
        BlockDeviceError: writing failed; data is lost.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(handle) != 0:
            raise BlockDeviceError(f"writing to the filesystem failed: {os.strerror(ctypes.get_errno())}",
                                   where=str(path), hint="the disk that holds the image may be full: see `df`")
    finally:
        os.close(handle)


def mounts_below(path: Path, *, itself: bool = True, device: str = "") -> tuple[MountPoint, ...]:
    """All mounts at and below `path`, in the order in which they were made.

    Args:
        itself: whether a mount on `path` itself counts.
        device: only mounts of this one, MAJOR:MINOR; empty: of any.
    """
    top = str(path.resolve())
    below = top.rstrip("/") + "/"
    found = []
    for line in os.fsdecode(MOUNTINFO.read_bytes()).splitlines():
        if " - " not in line:
            continue
        words = line.split(" ", 5)
        if device and words[2] != device:
            continue
        target = _decoded(words[4])
        if (target == top and itself) or (target.startswith(below) and target != top):
            found.append(_mount_point(line))
    return tuple(found)


def unmount_below(path: Path, *, itself: bool = True, keep: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Unmount lazily whatever is mounted at and below `path`, deepest first (C-150), and say what it was.

    Args:
        itself: whether a mount on `path` itself is unmounted too.
        keep: mount points that stay.
    """
    spared = {kept.resolve() for kept in keep}
    targets = [found.target for found in reversed(mounts_below(path, itself=itself)) if found.target not in spared]
    deepest_first = sorted(targets, key=lambda target: len(target.parts), reverse=True)
    for target in deepest_first:
        detach(target)
    return tuple(deepest_first)


def parse_mountinfo(text: str) -> tuple[MountPoint, ...]:
    r"""The lines of a mountinfo file, with `\040` and its like decoded (proc(5)).

    >>> parse_mountinfo("36 35 98:0 / /a\\040b rw - ext4 /dev/sda rw")[0].target
    PosixPath('/a b')
    """
    return tuple(_mount_point(line) for line in text.splitlines() if " - " in line)


def holders(target: Path) -> tuple[str, ...]:
    """Processes that work in `target`, run from it, or have a file of it open: `1234 (sleep)`."""
    top = str(target)
    return tuple(f"{process.name} ({_name(process)})" for process in sorted(Path("/proc").glob("[0-9]*"))
                 if any(link == top or link.startswith(top + "/") for link in _links(process)))


def _mount_point(line: str) -> MountPoint:
    before, after = line.split(" - ", 1)
    fstype, source, super_options = after.split(" ")[:3]
    identity, parent, device, root, target, options = before.split(" ")[:6]
    return MountPoint(target=Path(_decoded(target)), fstype=fstype, source=_decoded(source), identity=int(identity),
                      parent=int(parent), device=device, root=_decoded(root), options=options,
                      super_options=super_options)


def _decoded(text: str) -> str:
    """mountinfo escapes single bytes, also those of a letter in UTF-8."""
    if "\\" not in text:
        return text
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), os.fsencode(text)))


def _umount(target: Path, flags: int) -> int:
    """0 or an errno. Not being mounted counts as done when detaching."""
    if _libc.umount2(os.fsencode(target), flags) == 0:
        return 0
    problem = ctypes.get_errno()
    return 0 if flags & _MNT_DETACH and problem in (errno.EINVAL, errno.ENOENT) else problem


def _links(process: Path) -> Iterator[str]:
    for link in (process / "cwd", process / "root", process / "exe", *_open_files(process)):
        try:
            yield str(link.readlink())
        except OSError:
            continue  # the process ended meanwhile, or is not ours to look at


def _open_files(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return []


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "ended"
