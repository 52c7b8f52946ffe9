"""Variables that a user has set and no element of the image reads: mostly slips of the pen. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from pydib.element.shelf import Element
from pydib.element.variables import GENERAL, named_in


def unread(environment: Mapping[str, str], chosen: Iterable[Element], shelf: Iterable[Element]) -> tuple[str, ...]:
    """A line about each DIB_ variable of `environment` that none of the `chosen` elements names, with the name that may
    have been meant, or the elements of the `shelf` that read it. Empty values say nothing, nor do the engine's own.

    >>> unread({"DIB_DEV_USER_USERNAM": "me"}, [devuser], [devuser])
    ('DIB_DEV_USER_USERNAM is set, but no element of this image reads it; did you mean DIB_DEV_USER_USERNAME?',)
    """
    asked = [name for name, value in sorted(environment.items())
             if name.startswith("DIB_") and value and name not in GENERAL]
    if not asked:
        return ()
    read = [named_in(element.path) for element in chosen]
    known = sorted(GENERAL.union(*(each.names for each in read)))
    left = [name for name in asked if not any(name in each for each in read)]
    return tuple(f"{name} is set, but no element of this image reads it{_guess(name, known, shelf)}" for name in left)


def _guess(name: str, known: list[str], shelf: Iterable[Element]) -> str:
    readers = [element.name for element in shelf if name in named_in(element.path)]
    if readers:
        more = f" and {len(readers) - 3} more" if len(readers) > 3 else ""
        return f"; {', '.join(readers[:3])}{more} would"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""
