"""What the layers of a build tell afterwards: who wrote a file, and who takes how much room."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydib.errors import InputError
from pydib.layer.content import is_whiteout
from pydib.layer.folders import is_opaque
from pydib.layer.records import BuildRecord, Ran, State
from pydib.layer.store import Store


class NoSuchBuild(InputError):
    """The store knows no build like that, or its layers are gone."""


@dataclass(frozen=True, kw_only=True)
class Touch:
    """A layer that has something to say of a path: `what` is written, changed, or removed; `lines` are those of the
    script's output that name the file."""

    state: State
    what: str
    lines: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one step left in the finished tree."""

    made_by: str
    element: str
    files: int
    size_bytes: int


def build_of(store: Store, image: Path | None) -> BuildRecord:
    """The last build that made `image` (a path with or without its ending), or the last build at all.

    Raises:
        NoSuchBuild: there is none.
    """
    wanted = {str(image.absolute()), str(image.absolute().with_suffix(""))} if image else set()
    for build in store.builds():
        if build.ended == "done" and (not wanted or build.image in wanted):
            return build
    raise NoSuchBuild("no build of that image is known" if image else "no build is known", where=str(image or ""),
                      hint=f"the last builds with layers are in {store.folder / 'builds'}; build the image once more")


def layers_of(store: Store, build: BuildRecord) -> tuple[State, ...]:
    """The states that the finished tree grew through, the first one first.

    Raises:
        NoSuchBuild: layers are gone, or the build had none in the end.
    """
    if not build.final:
        raise NoSuchBuild("the build was not kept in layers to its end", where=build.image,
                          hint="its log says why (`no more layers are kept`)")
    chain = store.chain(build.final)
    if chain is None:
        raise NoSuchBuild("layers of that build have been removed", where=build.image, hint="build the image once more")
    return chain


def blame(store: Store, build: BuildRecord, path: str) -> list[Touch]:
    """Every layer that wrote, changed or removed `path` (as it is called in the image), the last one first."""
    inside = path.strip("/")
    output = {line.script: line.output for line in build.scripts}
    touches = []
    for state in reversed(layers_of(store, build)):
        what = _what(store.layers / state.upper, inside) if state.upper else ""
        if what:
            lines = _naming(store.log(output.get(state.made_by, "")), path)
            touches.append(Touch(state=state, what=what, lines=lines))
    return [_in_time(touch, first=number == len(touches) - 1) for number, touch in enumerate(touches)]


def _in_time(touch: Touch, *, first: bool) -> Touch:
    """The earliest layer that has a path wrote it; later ones changed it."""
    return replace(touch, what="written") if first and touch.what == "changed" else touch


def _what(upper: Path, inside: str) -> str:
    """What a layer does to a path: itself, or by a folder above it that went or was made anew."""
    place = upper
    for part in Path(inside).parts:
        place = place / part
        try:
            info = place.lstat()
        except OSError:
            return ""
        if is_whiteout(info):
            return "removed"
    return "changed"


def _naming(lines: Sequence[str], path: str) -> tuple[tuple[int, str], ...]:
    name = Path(path).name
    return tuple((number, line) for number, line in enumerate(lines, start=1) if name and name in line)[:5]


def shares(store: Store, build: BuildRecord) -> list[Share]:
    """What each step of the build left in the finished tree, the largest share first: the file on top counts."""
    covered: set[str] = set()
    hidden: list[str] = []
    found = []
    for state in reversed(layers_of(store, build)):
        if not state.upper:
            continue
        files = size = 0
        counted: set[int] = set()
        below: list[str] = []
        for name, info, opaque in _walk(store.layers / state.upper):
            if _is_below(name, hidden) or name in covered:
                continue
            if is_whiteout(info):
                below.append(name)
                covered.add(name)
                continue
            if opaque:
                below.append(name)
            if not stat.S_ISDIR(info.st_mode):
                covered.add(name)
                files += 1
                if info.st_ino not in counted:
                    counted.add(info.st_ino)
                    size += info.st_blocks * 512
        hidden += below
        if files:
            found.append(Share(made_by=state.made_by, element=state.element, files=files, size_bytes=size))
    return sorted(found, key=lambda share: -share.size_bytes)


def _is_below(name: str, hidden: Sequence[str]) -> bool:
    return any(name.startswith(folder + "/") for folder in hidden)


def _walk(upper: Path) -> Iterator[tuple[str, os.stat_result, bool]]:
    for folder, folders, names in os.walk(upper):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            yield os.path.relpath(path, upper), info, stat.S_ISDIR(info.st_mode) and is_opaque(path)


def rectangles(sizes: Sequence[int], *, x: float, y: float, width: float, height: float
               ) -> list[tuple[float, float, float, float]]:
    """A tree map: for each size, largest first, x, y, width and height of a rectangle of that share of the area.

    Halves the list by size, and the area along its longer side, until one is left.

    >>> rectangles([3, 1], x=0, y=0, width=4, height=1)
    [(0, 0, 3.0, 1), (3.0, 0, 1.0, 1)]
    """
    if len(sizes) <= 1:
        return [(x, y, width, height)] * len(sizes)
    total, first, cut = sum(sizes) or 1, 0, 0
    while cut < len(sizes) - 1 and (cut == 0 or first + sizes[cut] <= total / 2):
        first += sizes[cut]
        cut += 1
    part = first / total
    if width >= height:
        return [*rectangles(sizes[:cut], x=x, y=y, width=width * part, height=height),
                *rectangles(sizes[cut:], x=x + width * part, y=y, width=width * (1 - part), height=height)]
    return [*rectangles(sizes[:cut], x=x, y=y, width=width, height=height * part),
            *rectangles(sizes[cut:], x=x, y=y + height * part, width=width, height=height * (1 - part))]


def ran_line(build: BuildRecord, script: str) -> Ran | None:
    """What became of a script, by its path or its name."""
    return next((line for line in build.scripts if script in (line.script, line.script.split("/")[-1])), None)
