"""Overlay filesystems: one directory's changes on top of others, by mount(2); see the kernel's filesystems/overlayfs.

Options, and why:
    volatile      nothing is synced: a tree whose build dies is thrown away.
    index         names that are hard links of one file stay so when one of them is written to.
    redirect_dir  a directory of a lower layer can be renamed, as on any other filesystem.
    metacopy=off  a file in the upper directory has its own content, so the directory stands for itself.
In a user namespace the kernel has neither index nor redirect_dir, and keeps its notes in attributes that anybody may
write (userxattr). What layers lack by that is made up for elsewhere: see layer/links.py and host/renames.py.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from pydib.errors import EngineError
from pydib.host import kernel
from pydib.host.machine import in_user_namespace
from pydib.host.mount import MountPoint, detach, mounts_below

MOST_LOWERS = 480
"""The kernel takes 500 lower directories."""

_PATIENCE = (0.01, 0.05, 0.1, 0.2, 0.4, 0.8)


class OverlayFailed(EngineError):
    """The kernel refused an overlay; `number` is its errno."""

    def __init__(self, what: str, *, where: str, number: int) -> None:
        super().__init__(what, where=where, hint="the kernel's log (dmesg) has the reason; --no-cache builds without "
                                                 "layers")
        self.number = number


def mount_overlay(target: Path, *, base: Path, lowers: Sequence[str], upper: str, work: str) -> None:
    """Mount an overlay on `target`.

    Args:
        base: where the relative names of all other arguments begin: the kernel takes one page of options, which holds
            500 short names.
        lowers: the lower directories, topmost first.
        upper, work: the directory that takes the changes, and the kernel's scratch directory beside it; both fresh.

    Raises:
        OverlayFailed: the kernel refuses.
    """
    features = "userxattr,index=off" if in_user_namespace() else "index=on,redirect_dir=on,metacopy=off"
    options = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work},volatile,{features}"
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        os.chdir(base)
        _mount_patiently("overlay", target, "overlay", 0, options)
    finally:
        os.fchdir(here)
        os.close(here)


def move_mount(source: Path, target: Path) -> None:
    """Move the mount on `source`, with all that is mounted in it, to the existing directory or file `target`.

    Raises:
        OverlayFailed: the kernel refuses.
    """
    _mount_patiently(source, target, "", kernel.MS_MOVE, "")


def _mount_patiently(source: str | Path, target: Path, fstype: str, flags: int, data: str) -> None:
    """EBUSY is waited out for two seconds: a process that has just ended may not have let go of its files yet."""
    for wait in (*_PATIENCE, None):
        try:
            kernel.mount(source, target, fstype=fstype, flags=flags, data=data)
        except OSError as error:
            if error.errno != errno.EBUSY or wait is None:
                raise OverlayFailed(f"mounting the tree failed: {error.strerror}", where=str(target),
                                    number=error.errno or 0) from None
            time.sleep(wait)
        else:
            return


def mounts_on(top: Path) -> tuple[MountPoint, ...]:
    """What is mounted directly in the filesystem at `top`, in the order in which it was mounted; not what is mounted
    in these in turn."""
    found = mounts_below(top)
    own = [mount for mount in found if mount.target == top.resolve()]
    if not own:
        return ()
    return tuple(mount for mount in found if mount.parent == own[-1].identity and mount.target != top.resolve())


def unmounted(target: Path) -> bool:
    """Unmount `target`; False when it is in use."""
    try:
        kernel.unmount(target)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise OverlayFailed(f"unmounting the tree failed: {error.strerror}", where=str(target),
                            number=error.errno or 0) from None
    return True


def is_capable(folder: Path, scratch: Path) -> str:
    """Why an overlay cannot keep its changes in `folder`; empty when it can. Tries, on the empty directory `scratch`.

    `folder` gets, and loses, a few directories.
    """
    trial = folder / f"trial-{os.getpid()}"
    try:
        for name in ("lower/d", "lower/e", "upper", "work"):
            (trial / name).mkdir(parents=True)
        (trial / "lower/d/file").touch()
        (trial / "lower/d/other name").hardlink_to(trial / "lower/d/file")
        mount_overlay(scratch, base=trial, lowers=["lower"], upper="upper", work="work")
        try:
            return _shortcoming(scratch)
        finally:
            detach(scratch)
    except OverlayFailed as error:
        return error.what
    except OSError as error:
        return error.strerror or str(error)
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def _shortcoming(tree: Path) -> str:
    """What a mounted overlay does otherwise than a plain directory; the kernel gives up a feature without a word when
    the filesystem lacks what it takes."""
    (tree / "e").rmdir()
    (tree / "e").mkdir()
    (tree / "d/file").write_text("written through one name")
    if in_user_namespace():
        (tree / "d/other name").unlink()
        return ""
    if (tree / "d/other name").read_text() != "written through one name":
        return "names that are hard links of one file come apart"
    try:
        (tree / "d").rename(tree / "f")
    except OSError as error:
        return f"directories cannot be renamed: {error.strerror}"
    return ""
