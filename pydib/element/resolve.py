"""From the elements that a user named to all that the image needs (contract C-055 to C-063)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydib.element.shelf import Element, Shelf
from pydib.errors import AlreadyProvided, ElementNotFound, NoOperatingSystem

OPERATING_SYSTEM = "operating-system"


@dataclass(frozen=True)
class Resolution:
    """The elements of an image, in one order that never changes: breadth first from what was asked for.

    `asked_by` tells for each element which element's element-deps named it first; empty for the user's own.
    `provided` tells for each virtual name which element stands for it.
    """

    elements: tuple[Element, ...]
    asked_by: Mapping[str, str]
    provided: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(element.name for element in self.elements)


def with_defaults(wanted: Sequence[str], *, arch: str, base: bool = True, ramdisk_element: str = "") -> tuple[str, ...]:
    """What the user named, with what is always added.

    `base` comes first (C-064), a ramdisk's element before it, and `vm` without a block-device element brings one
    by architecture (C-063).
    """
    names = list(wanted)
    if "vm" in names and not any(name.startswith("block-device-") for name in names):
        names.append("block-device-efi" if arch in ("arm64", "aarch64") else "block-device-mbr")
    if base:
        names.insert(0, "base")
    if ramdisk_element:
        names.insert(0, ramdisk_element)
    return tuple(dict.fromkeys(names))


def resolve(wanted: Sequence[str], shelf: Shelf) -> Resolution:
    """Expand `wanted` by element-deps and element-provides.

    A name that nothing on the shelf has is waited for: an element found later may provide it (C-061: where DIB's
    answer depends on hash order, ours is the successful one).

    >>> resolve(["vm", "debian-minimal"], shelf).names
    ('vm', 'debian-minimal', 'bootloader', 'debootstrap', ...)

    Raises:
        ElementNotFound: a name that nothing has and nothing provides (C-056).
        AlreadyProvided: two elements for one name (C-059).
        NoOperatingSystem: nothing provides `operating-system` (C-060).
    """
    walk = _Walk(shelf)
    walk.go(wanted)
    _refuse_conflicts(wanted, walk.provided)
    if OPERATING_SYSTEM not in walk.provided:
        raise NoOperatingSystem(
            "no operating system: none of the elements provides one",
            where="elements " + " ".join(wanted),
            hint="include an operating system element, such as debian-minimal; `pydib elements` lists them")
    kept = tuple(element for name, element in walk.found.items() if name not in walk.provided)
    return Resolution(kept, walk.asked_by, walk.provided)


class _Walk:
    """The state of one expansion."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.found: dict[str, Element] = {}
        self.provided: dict[str, str] = {}
        self.asked_by: dict[str, str] = {}
        self.waiting: list[str] = []

    def go(self, wanted: Sequence[str]) -> None:
        queue = deque(dict.fromkeys(wanted))
        for name in queue:
            self.asked_by[name] = ""
        while queue:
            name = queue.popleft()
            if name in self.provided or name in self.found:
                continue
            if name not in self.shelf:
                self.waiting.append(name)
                continue
            queue.extend(self.take(self.shelf[name]))
        for name in self.waiting:
            if name not in self.provided:
                raise _not_found(name, self.asked_by[name], self.shelf)

    def take(self, element: Element) -> list[str]:
        """Put `element` into the result; gives the names to visit next."""
        self.found[element.name] = element
        for name in element.provides:
            first = self.provided.setdefault(name, element.name)
            if first != element.name:
                raise AlreadyProvided(f"{name} is provided by {first} already, and {element.name} provides it too",
                                      where=str(element.path / "element-provides"),
                                      hint=f"choose one of {first} and {element.name}")
        fresh = [name for name in element.depends if name not in self.found and name not in self.provided]
        for name in fresh:
            self.asked_by.setdefault(name, element.name)
        return fresh


def _refuse_conflicts(wanted: Sequence[str], provided: Mapping[str, str]) -> None:
    for name in wanted:
        if name in provided:
            raise AlreadyProvided(f"{name} was asked for, but {provided[name]} provides it already",
                                  where="elements " + " ".join(wanted),
                                  hint=f"leave out {name} or {provided[name]}")


def _not_found(name: str, asked_by: str, shelf: Shelf) -> ElementNotFound:
    by = f"element-deps of {asked_by} names it" if asked_by else "it was named on the command line"
    close = [guess for guess in shelf.close_to(name) if guess != name]
    guess = f"did you mean {' or '.join(close)}?" if close else "`pydib elements` lists what there is"
    providers = [element.name for element in shelf if name in element.provides]
    if providers:
        guess = f"include one of the elements that provide it: {' '.join(providers)}"
    searched = ":".join(str(place) for place in shelf.searched)
    return ElementNotFound(f"Element '{name}' not found; {by}", where=f"ELEMENTS_PATH {searched}", hint=guess)
