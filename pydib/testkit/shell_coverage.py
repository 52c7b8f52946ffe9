"""Lines of scripts that tests ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

_wanted = False
_seen: dict[Path, set[int]] = defaultdict(set)


def want(wanted: bool) -> None:
    """Count lines from now on, or no longer."""
    global _wanted
    _wanted = wanted


def is_wanted() -> bool:
    """Whether lines are counted."""
    return _wanted


def collect(trace: Path, source_of: Callable[[str], Path | None]) -> None:
    """Take over what `shell/trace` has written, and empty the file.

    Args:
        source_of: gives the element's own file for a path as the script saw it.
    """
    if not _wanted:
        return
    found: dict[str, set[int]] = defaultdict(set)
    for line in trace.read_text(errors="surrogateescape").splitlines():
        path, _, number = line.rpartition(":")
        if number.isdigit():
            found[path].add(int(number))
    trace.write_text("")
    for path, numbers in found.items():
        source = source_of(path)
        if source is not None:
            _seen[source] |= numbers


def seen() -> dict[Path, set[int]]:
    """Lines that bash said it executes, by element file."""
    return dict(_seen)
