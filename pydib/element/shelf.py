"""The shelf: every element that ELEMENTS_PATH offers (contract section 2)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydib.errors import ElementError


@dataclass(frozen=True)
class Element:
    """One element: a folder. `overrides` are folders of the same name later on ELEMENTS_PATH."""

    name: str
    path: Path
    overrides: tuple[Path, ...] = field(default=(), compare=False)

    @cached_property
    def depends(self) -> tuple[str, ...]:
        """The names in `element-deps`, in their order (C-054)."""
        return _names(self.path / "element-deps")

    @cached_property
    def provides(self) -> tuple[str, ...]:
        """The names in `element-provides`, in their order (C-054)."""
        return _names(self.path / "element-provides")


@dataclass(frozen=True)
class Shelf:
    """All elements by name, and the folders that were searched."""

    elements: Mapping[str, Element]
    searched: tuple[Path, ...]

    def __contains__(self, name: object) -> bool:
        return name in self.elements

    def __getitem__(self, name: str) -> Element:
        return self.elements[name]

    def __iter__(self) -> Iterator[Element]:
        return iter(sorted(self.elements.values(), key=lambda element: element.name))

    def close_to(self, name: str) -> list[str]:
        """Names of elements, and of things that elements provide, that look like `name`: the closest, and those
        nearly as close."""
        known = set(self.elements)
        for element in self.elements.values():
            known.update(element.provides)
        close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
        likeness = [difflib.SequenceMatcher(a=other, b=name).ratio() for other in close]
        return [other for other, ratio in zip(close, likeness, strict=True) if ratio > likeness[0] - 0.15]


def _names(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise ElementError(f"{path.name} cannot be read: {error.strerror}", where=str(path)) from None
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def split_elements_path(text: str) -> tuple[Path, ...]:
    """The folders in an ELEMENTS_PATH; empty entries are ignored (C-050)."""
    return tuple(Path(entry) for entry in text.split(os.pathsep) if entry)


def _folders(place: Path) -> Iterable[tuple[str, Path]]:
    """Name and path of each element in `place`. A link counts by the name of what it points to (C-052). Where tests of
    elements share a conftest.py, Python leaves a folder that is none.
    """
    try:
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    except OSError as error:
        raise ElementError(f"{place} on ELEMENTS_PATH is not a folder that can be read: {error.strerror}",
                           where=f"ELEMENTS_PATH entry {place}",
                           hint="correct ELEMENTS_PATH; its entries are folders separated by colons") from None
    for entry in entries:
        if entry.is_symlink():
            real = Path(os.path.realpath(entry.path))
            if real.is_dir():
                yield real.name, real
        elif entry.is_dir() and entry.name != "__pycache__":
            yield entry.name, place / entry.name


def find_elements(places: Sequence[Path]) -> Shelf:
    """Read `places` in order; the first element of a name wins, wholly (C-053).

    Raises:
        ElementError: a place is not a readable folder (C-050).
    """
    found: dict[str, list[Path]] = {}
    for place in places:
        for name, path in _folders(place.absolute()):
            known = found.setdefault(name, [])
            if path not in known:
                known.append(path)
    elements = {name: Element(name, paths[0], tuple(paths[1:])) for name, paths in found.items()}
    return Shelf(elements, tuple(place.absolute() for place in places))
