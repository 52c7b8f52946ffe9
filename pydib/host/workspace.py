"""The directories that a build takes: made before it, removed after it, found again when it was killed.

The build and image directories lie under $TMPDIR; a staging directory lies beside the outputs, on their filesystem,
so that publishing is a rename. They are written down in a marker file, and locked for as long as any process of the
build lives. What a killed build left is told by its free lock, and removed by the next build: loop devices with what
the kernel has made of them (see leftovers.py), and the directories.

    $TMPDIR/dib_build.XXXXXXXX/         locked; scripts do not see it
        .pydib-build                    marker: the other directories
        .pydib-filesystems              device numbers of filesystems in memory that the build works in
        build/                          the build directory
    $TMPDIR/dib_image.XXXXXXXX/         the image directory
    <output's directory>/.pydib-XXXXXXXX/
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import EngineError, ImageError, PydibError
from pydib.host import leftovers
from pydib.host.machine import in_user_namespace
from pydib.host.mapper import Map, drop_stale_nodes
from pydib.host.removal import remove_tree
from pydib.host.signals import PASSED_ON

BUILD_PREFIX, IMAGE_PREFIX, STAGING_PREFIX = "dib_build.", "dib_image.", ".pydib-"
MARKER, FILESYSTEMS = ".pydib-build", ".pydib-filesystems"
OURS = "py"
"""How the eight characters begin that end a directory's name: DIB's own directories are not ours to look at."""
PATIENCE = (0.05, 0.2, 0.5, 1.0)
"""Seconds between the tries to remove a directory: processes of a killed build may still be writing to it."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The directories of one build, and open descriptors: `lock` keeps them from being swept away, on `filesystems`
    the build writes down device numbers (decimal, a line each) of filesystems in memory, before it uses them.
    `left` tells what builds that were killed have left, and what to do about it."""

    top: Path
    build_dir: Path
    image_dir: Path
    staging_dir: Path
    lock: int
    filesystems: int
    left: tuple[str, ...] = ()


@contextmanager
def workspace(temporary: Path, output_dir: Path) -> Iterator[Workspace]:
    """Make the directories, and remove them in the end, whatever happened. Ctrl-C is heeded after that: it would leave
    half of them.

    Raises:
        EngineError: `temporary` cannot be written.
        ImageError: `output_dir` cannot be written.
    """
    left: list[str] = []
    sweep(temporary, tell=left.append)
    with ExitStack() as stack:
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, []))
        top, lock = _made_top(stack, temporary.absolute())
        image_dir, staging_dir = _new_name(temporary.absolute(), IMAGE_PREFIX), _new_name(output_dir, STAGING_PREFIX)
        (top / MARKER).write_text(json.dumps({"directories": [str(image_dir), str(staging_dir)]}))
        _made(stack, image_dir)
        _made_for_output(stack, staging_dir)
        filesystems = os.open(top / FILESYSTEMS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, filesystems)
        stack.callback(_release, top)
        build_dir = top / "build"
        build_dir.mkdir(mode=0o700)
        stack.callback(signal.pthread_sigmask, signal.SIG_BLOCK, PASSED_ON)
        yield Workspace(top=top, build_dir=build_dir, image_dir=image_dir, staging_dir=staging_dir,
                        lock=lock, filesystems=filesystems, left=tuple(left))


def _new_name(parent: Path, prefix: str) -> Path:
    """A name that nobody else has: it can be written down before there is such a directory."""
    return parent / f"{prefix}{OURS}{secrets.token_hex(3)}"


def _made(stack: ExitStack, path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise EngineError(f"no directory can be made in {path.parent}: {error.strerror}", where=str(path.parent),
                          hint="set TMPDIR to a directory that you may write to, on a disk with room") from None
    stack.callback(remove, path)


def _made_for_output(stack: ExitStack, path: Path) -> None:
    try:
        _made(stack, path)
    except EngineError as error:
        raise ImageError(error.what.replace("no directory can be made", "the output cannot be written"),
                         where=str(path.parent),
                         hint="make that directory, or choose another place with -o") from None


def _made_top(stack: ExitStack, temporary: Path) -> tuple[Path, int]:
    """The locked directory, and its lock. A sweeping build may take it away until it is marked: then make another."""
    while True:
        path = _new_name(temporary, BUILD_PREFIX)
        with ExitStack() as attempt, contextlib.suppress(FileNotFoundError):
            _made(attempt, path)
            attempt.pop_all()
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            (path / MARKER).touch()
            stack.callback(os.close, lock)
            stack.callback(_remove_top, path)
            return path, lock


def _remove_top(path: Path) -> None:
    """Remove the locked directory, the marker last: killed half-way, the next build still knows what it is."""
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == MARKER):
        if entry.is_dir() and not entry.is_symlink():
            remove(entry)
        else:
            entry.unlink()
    path.rmdir()


def _release(top: Path) -> tuple[Map, ...]:
    """Free the loop devices of a build that is over; gives the maps that stay. Only root's builds have any."""
    if os.geteuid() != 0 or in_user_namespace():
        return ()
    lines = (top / FILESYSTEMS).read_text().split() if (top / FILESYSTEMS).exists() else []
    folders, numbers = [top, *_written_down(top)], {int(number) for number in lines if number.isdecimal()}
    leftovers.release(folders, numbers)
    drop_stale_nodes()
    return leftovers.still_mapped(folders, numbers)


def remove(path: Path) -> None:
    """Remove a directory with all in it, never following a mount: there are none in the caller's namespace.

    Raises:
        EngineError: something is mounted in there, or it cannot be removed.
    """
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [place for place in mounted if place == str(path) or place.startswith(f"{path}/")]
    if inside:
        raise EngineError(f"{path} is not removed: {inside[0]} is still mounted", where=str(path),
                          hint=f"umount {inside[0]}, then remove the directory")
    for wait in (*PATIENCE, None):
        if remove_tree(path):
            return
        if wait is not None:
            time.sleep(wait)
    raise EngineError("a directory of the build cannot be removed", where=str(path), hint=f"rm -r {path}")


def sweep(temporary: Path, *, tell: Callable[[str], None] = lambda text: None) -> list[Path]:
    """Remove what builds left that were killed; gives the build directories that went.

    Args:
        tell: gets a sentence on what cannot be removed yet. It is tried again the next time.
    """
    gone = []
    with contextlib.suppress(OSError):
        for path in sorted(temporary.glob(f"{BUILD_PREFIX}{OURS}*")):
            with contextlib.suppress(PydibError, OSError):
                if _swept(path, tell):
                    gone.append(path)
    return gone


def _swept(path: Path, tell: Callable[[str], None]) -> bool:
    """Remove what the marker names, then the directory itself, if it is ours and no longer locked."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not (path / MARKER).is_file():
            path.rmdir()  # killed before it wrote anything; not empty: not ours
            return True
        if kept := _release(path):
            tell(f"a build that was killed left {', '.join(one.name for one in kept)}, which something still uses: see "
                 f"`fuser -v {kept[-1].device}` and `lsblk`, end that, and the next build removes it")
            return False
        for other in _written_down(path):
            if other.exists():
                remove(other)
        _remove_top(path)
    finally:
        os.close(lock)
    return True


def _written_down(path: Path) -> list[Path]:
    """The marker's other directories, as far as their names are such as we give."""
    try:
        names = json.loads((path / MARKER).read_text())["directories"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    prefixes = (IMAGE_PREFIX, STAGING_PREFIX)
    return [Path(name) for name in names if isinstance(name, str) and Path(name).name.startswith(prefixes)]
