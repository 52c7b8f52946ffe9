"""What a build takes on disk and in memory: told beforehand, from what the last build of the same elements took."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydib import paths
from pydib.build.decide import Prepared
from pydib.host import machine
from pydib.layer.keys import digest
from pydib.sizes import GIB, human_size

FOLDER = "space"
"""In the image cache: what the last build of each set of elements took."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """Bytes that a build took: its own directories (the disk, and without layers the tree), its layers, its outputs."""

    temporary: int
    layers: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a part of it goes: `what` it is, the folder (empty: memory), bytes needed, bytes free there."""

    what: str
    folder: str
    needed: int
    free: int

    @property
    def text(self) -> str:
        """For people."""
        where = f"in {self.folder}" if self.folder else "in memory"
        return f"{self.what}: {human_size(self.needed)} {where}, {human_size(self.free)} free"


def _record(prepared: Prepared) -> Path:
    recipe = prepared.recipe
    facts = [list(prepared.plan.resolution.names), recipe.arch, prepared.assembly.mode, list(prepared.outputs),
             recipe.layers]
    return recipe.image_cache / FOLDER / f"{digest(facts)[:24]}.json"


def keep(prepared: Prepared, space: Space) -> None:
    """Write down what a build took. A cache that takes no more is no reason to fail."""
    path = _record(prepared)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        part.write_text(json.dumps(asdict(space)), encoding="ascii")
        part.replace(path)


def last(prepared: Prepared) -> Space | None:
    """What the last build of these elements took; None when it is not known."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Space(**json.loads(_record(prepared).read_text(encoding="ascii")))
    return None


def places(prepared: Prepared) -> tuple[Place, ...]:
    """Where a build that finds nothing cached will take how much; empty when it is not known."""
    space, recipe = last(prepared), prepared.recipe
    if space is None:
        return ()
    in_memory = recipe.tmpfs and machine.memory_bytes() >= 2 * recipe.min_tmpfs_gib * GIB
    temporary = Path() if in_memory else paths.temporary(recipe.environment)
    found = [("the build's own files", temporary, space.temporary), ("outputs", recipe.output_stem.parent,
                                                                    space.outputs)]
    if recipe.layers:
        found.insert(1, ("layers", recipe.image_cache, space.layers))
    return tuple(Place(what=what, folder="" if folder == Path() else str(folder), needed=needed, free=_free(folder))
                 for what, folder, needed in found)


def _free(folder: Path) -> int:
    if folder == Path():
        return machine.available_memory_bytes()
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            found = os.statvfs(place)
            return found.f_bavail * found.f_frsize
    return 0


def shortages(prepared: Prepared) -> Iterator[str]:
    """A warning for each filesystem, and for memory, that has less room than a build with nothing cached took."""
    groups: dict[int, list[Place]] = {}
    for place in places(prepared):
        groups.setdefault(_device(place.folder), []).append(place)
    for together in groups.values():
        needed, free = sum(place.needed for place in together), min(place.free for place in together)
        if needed > free:
            what = ", ".join(f"{place.what} {human_size(place.needed)}" for place in together)
            where = together[0].folder or "memory"
            yield (f"the last build of these elements took {human_size(needed)} in {where} ({what}), and "
                   f"{human_size(free)} are free: make room, set TMPDIR, or choose another place with --image-cache or "
                   "-o; what is cached takes nothing")


def _device(folder: str) -> int:
    """The filesystem that a folder, or the nearest above it that is there, lies on; -1 for memory."""
    for place in (Path(folder), *Path(folder).parents) if folder else ():
        with contextlib.suppress(OSError):
            return place.stat().st_dev
    return -1
