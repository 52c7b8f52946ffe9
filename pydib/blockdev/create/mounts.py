"""Mounting the image's filesystems below one directory, and letting go of them in order (contract C-221)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydib.blockdev.filesystem import FAT
from pydib.errors import PydibError
from pydib.events import Note, Reporter
from pydib.host.command import run
from pydib.host.mount import mount, sync_filesystem, unmount, unmount_below

DIRECTORY_MODE = 0o755


@contextmanager
def mounted_filesystem(device: str, target: Path, *, fs_type: str, report: Reporter) -> Iterator[None]:
    """Keep the filesystem on `device` mounted at `target`, whose directories are made when they are missing.

    At an orderly end what others mounted below is detached, blocks that are no longer used are given back to the
    image file (not for FAT), and it is unmounted. After a failure it is only detached.

    Raises:
        CommandFailed: mount(8) refuses.
        BlockDeviceError: it stays busy, or not everything could be written.
    """
    make_directories(target)
    mount(device, target)
    try:
        yield
        _let_go(target, fs_type, report)
    except BaseException:
        unmount_below(target)
        raise


def _let_go(target: Path, fs_type: str, report: Reporter) -> None:
    left = unmount_below(target, itself=False)
    if left:
        report(Note(text=f"unmounted what was left below {target}: {', '.join(map(str, left))}"))
    sync_filesystem(target)  # ext4 trims blocks only after the transaction that freed them
    trim(target, fs_type)
    unmount(target)


def trim(target: Path, fs_type: str) -> None:
    """Let the image file forget blocks that the filesystem does not use. Not all kernels and filesystems can."""
    if fs_type not in FAT:
        with suppress(PydibError):
            run("fstrim", target)


def make_directories(path: Path) -> None:
    """Make `path` with its parents, readable for all whatever the umask is (C-302)."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir()
        directory.chmod(DIRECTORY_MODE)
