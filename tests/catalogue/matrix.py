"""Which of our elements can be planned with which operating system.

    python -m tests.catalogue.matrix        # prints the table
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache

from pydib import recipe
from pydib.build import prepare
from pydib.element.shelf import Shelf
from pydib.errors import PydibError
from pydib.testkit.hooks import with_dependencies
from tests.catalogue.pages import shelf

TOOL = "bin/install-packages"
"""What every family of distributions brings: an element that brings, or needs, one of another family does not fit."""


@cache
def ours() -> Shelf:
    """Our elements, read once."""
    return shelf()


def systems() -> list[str]:
    """The elements that provide an operating system by themselves."""
    return [element.name for element in ours() if "operating-system" in element.provides]


def family(name: str) -> str:
    """The element that brings the package tool for `name`; empty when that needs none."""
    return next((each.name for each in with_dependencies([name], ours()) if (each.path / TOOL).exists()), "")


def fits(name: str, system: str) -> bool:
    """Whether both can be in one image: there is one operating system, and one family of packages."""
    needs = {each.name for each in with_dependencies([name], ours())} & set(systems())
    return (not needs or needs == {system}) and len({family(name), family(system)} - {""}) < 2


def planned(name: str, system: str) -> str:
    """What is wrong with a plan for both; empty when nothing is."""
    try:
        prepare(recipe.from_environment({}, elements=tuple(dict.fromkeys((name, system)))))
    except PydibError as problem:
        return str(problem)
    return ""


def row(name: str) -> Mapping[str, str]:
    """By operating system that fits, what is wrong."""
    return {system: planned(name, system) for system in systems() if fits(name, system)}


def main() -> None:
    """Print the table: x for a plan, - where both do not fit."""
    names = systems()
    sys.stdout.writelines(f"{number:>3}  {name}\n" for number, name in enumerate(names, 1))
    sys.stdout.write(f"{'':<32}" + "".join(f"{number:>3}" for number in range(1, len(names) + 1)) + "\n")
    for element in ours():
        told = row(element.name)
        marks = ("-" if name not in told else "!" if told[name] else "x" for name in names)
        sys.stdout.write(f"{element.name:<32}" + "".join(f"{mark:>3}" for mark in marks) + "\n")


if __name__ == "__main__":
    main()
