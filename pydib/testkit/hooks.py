"""The elements of a unit test: the one under test, and of those it depends on the ones that can be found.

A build insists on all of them; a test of one element should not need all of its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydib.element.shelf import Element, Shelf
from pydib.errors import ElementNotFound


def find_element(name: str, shelf: Shelf) -> Element:
    """The element `name`.

    Raises:
        ElementNotFound: it is not on the shelf.
    """
    if name in shelf:
        return shelf[name]
    near = shelf.close_to(name)
    raise ElementNotFound(
        f"element {name!r} not found", where=":".join(map(str, shelf.searched)),
        hint=f"did you mean {near[0]}?" if near else "elements are looked for beside the test's own, in"
        " --elements-path, in ELEMENTS_PATH, and among pydib's")


def with_dependencies(names: Sequence[str], shelf: Shelf) -> list[Element]:
    """The elements `names`, then everything that they depend on, breadth-first, as far as it is on the shelf.

    Raises:
        ElementNotFound: one of `names` is not there.
    """
    found = {name: find_element(name, shelf) for name in names}
    waiting = list(found.values())
    while waiting:
        for name in waiting.pop(0).depends:
            if name not in found and name in shelf:
                found[name] = shelf[name]
                waiting.append(shelf[name])
    return list(found.values())
