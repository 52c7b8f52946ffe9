"""The directories that a build takes: made before it, removed after it, found again when it was killed.

The build and image directories lie under $TMPDIR; a staging directory lies beside the outputs, on their filesystem,
so that publishing is a rename. They are written down in a marker file, and locked for as long as any process of the
build lives. What a killed build left is told by its free lock, and removed by the next build.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import EngineError, ImageError, PydibError
from pydib.host.command import run
from pydib.host.namespace import MAPPED

BUILD_PREFIX, IMAGE_PREFIX, STAGING_PREFIX = "dib_build.", "dib_image.", ".pydib-"
MARKER = ".pydib-build"
PATIENCE = (0.05, 0.2, 0.5, 1.0)
"""Seconds between the tries to remove a directory: processes of a killed build may still be writing to it."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The directories of one build; `lock` is an open descriptor that keeps them from being swept away."""

    build_dir: Path
    image_dir: Path
    staging_dir: Path
    lock: int


@contextmanager
def workspace(temporary: Path, output_dir: Path) -> Iterator[Workspace]:
    """Make the directories, and remove them in the end, whatever happened.

    Raises:
        EngineError: `temporary` cannot be written.
        ImageError: `output_dir` cannot be written.
    """
    sweep(temporary)
    with ExitStack() as stack:
        build_dir = _made(stack, temporary, BUILD_PREFIX)
        lock = _locked(stack, build_dir)
        image_dir = _made(stack, temporary, IMAGE_PREFIX)
        staging_dir = _made_for_output(stack, output_dir)
        marker = {"directories": [str(image_dir), str(staging_dir)]}
        (build_dir / MARKER).write_text(json.dumps(marker))
        yield Workspace(build_dir=build_dir, image_dir=image_dir, staging_dir=staging_dir, lock=lock)


def _made(stack: ExitStack, parent: Path, prefix: str) -> Path:
    try:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent.absolute()))
    except OSError as error:
        raise EngineError(f"no directory can be made in {parent}: {error.strerror}", where=str(parent),
                          hint="set TMPDIR to a directory that you may write to, on a disk with room") from None
    stack.callback(remove, path)
    return path


def _made_for_output(stack: ExitStack, output_dir: Path) -> Path:
    try:
        return _made(stack, output_dir, STAGING_PREFIX)
    except EngineError as error:
        raise ImageError(error.what.replace("no directory can be made", "the output cannot be written"),
                         where=str(output_dir),
                         hint="make that directory, or choose another place with -o") from None


def _locked(stack: ExitStack, path: Path) -> int:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, lock)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


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
        shutil.rmtree(path, ignore_errors=True)
        if path.exists() and os.geteuid() != 0:
            _remove_as_mapped(path)
        if not path.exists():
            return
        if wait is not None:
            time.sleep(wait)
    raise EngineError("a directory of the build cannot be removed", where=str(path), hint=f"rm -r {path}")


def _remove_as_mapped(path: Path) -> None:
    """Files of the caller's subordinate ids are only for root of a user namespace to remove."""
    with contextlib.suppress(PydibError):
        run("unshare", *MAPPED, "rm", "--recursive", "--force", "--one-file-system", "--", path)


def sweep(temporary: Path) -> list[Path]:
    """Remove the directories of builds that were killed; gives the build directories that went."""
    gone = []
    with contextlib.suppress(OSError):
        for path in sorted(temporary.glob(BUILD_PREFIX + "*")):
            if _is_abandoned(path):
                for name in (*_written_down(path), path):
                    with contextlib.suppress(EngineError, OSError):
                        remove(Path(name))
                gone.append(path)
    return gone


def _is_abandoned(path: Path) -> bool:
    """Ours by its marker and its owner, and no longer locked."""
    try:
        if not (path / MARKER).is_file() or path.stat().st_uid != os.geteuid():
            return False
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
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
