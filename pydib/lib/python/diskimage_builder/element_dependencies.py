"""Which elements a list of elements expands to."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from pydib.element.resolve import resolve
from pydib.element.shelf import find_elements, split_elements_path
from pydib.errors import AlreadyProvided, ElementError, ElementNotFound, NoOperatingSystem

MissingElementException = ElementNotFound
AlreadyProvidedException = AlreadyProvided
MissingOSException = NoOperatingSystem
InvalidElementDir = ElementError

_log = logging.getLogger(__name__)


def get_elements(elements: Iterable[str], paths: str | None = None) -> list[tuple[str, str]]:
    """Name and path of each element that `elements` expand to.

    Args:
        elements: names.
        paths: folders of elements, separated by colons; by default ELEMENTS_PATH.

    Raises:
        ElementError: or one of its children, which bear the names above.
    """
    text = os.environ.get("ELEMENTS_PATH", "") if paths is None else paths
    places: tuple[Path, ...] = split_elements_path(text)
    if not places:
        raise ElementError("ELEMENTS_PATH must be set", hint="set it to folders of elements, separated by colons")
    found = resolve(list(elements), find_elements(places))
    return [(element.name, str(element.path)) for element in found.elements]


def expand_dependencies(user_elements: Iterable[str], element_dirs: str) -> set[str]:
    """The names alone, as a set. Kept for old scripts; use get_elements."""
    _log.warning("expand_dependencies() is kept for old scripts only; use get_elements()")
    return {name for name, _ in get_elements(user_elements, element_dirs)}
