"""Directories that the engine works in stay in its sight, whatever scripts mount over them or over what is above.

Scripts on the host share the build's mounts, and a mount that they leave over /home, say, would hide a user's
layers from the engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydib.host.mount import MOUNTINFO, MountPoint, detach, parse_mountinfo


@contextmanager
def kept_in_sight(places: Sequence[Path], told: Callable[[Path], None]) -> Iterator[None]:
    """Unmount, when the block has ended, what was mounted in it and hides one of `places`.

    Args:
        places: directories that are there.
        told: told each mount point of these.
    """
    resolved = [path.resolve() for path in places]
    before = [_who(path) for path in resolved]
    mountinfo = MOUNTINFO.read_bytes()
    try:
        yield
    finally:
        if before != [_who(path) for path in resolved]:
            known = {_key(found) for found in parse_mountinfo(os.fsdecode(mountinfo))}
            for found in reversed(parse_mountinfo(os.fsdecode(MOUNTINFO.read_bytes()))):
                if _key(found) not in known and any(path.is_relative_to(found.target) for path in resolved):
                    detach(found.target)
                    told(found.target)


def _who(path: Path) -> tuple[int, int]:
    try:
        info = os.stat(path)
    except OSError:
        return 0, 0
    return info.st_dev, info.st_ino


def _key(found: MountPoint) -> tuple[int, Path, str, str]:
    """Who a mount is. The kernel gives its number to another one as soon as it is gone."""
    return found.identity, found.target, found.device, found.root
