"""The moment for which an image is made: no file in it says that it was changed later, whenever the build runs.

SOURCE_DATE_EPOCH of the caller's environment (reproducible-builds.org) says it. Without it the newest date of the
package archives does, that is of the Release files that apt has left in the tree: an archive that stands still gives
the same image tomorrow. Where no archive is involved it is a fixed moment.
"""

from __future__ import annotations

import contextlib
import email.utils
from collections.abc import Iterator
from pathlib import Path

from pydib.host.inside import is_inside

VARIABLE = "SOURCE_DATE_EPOCH"
WITHOUT_ARCHIVE = 1_577_836_800
"""2020-01-01, when neither the caller nor an archive tells a date."""
_LISTS = "var/lib/apt/lists"
_HEAD_BYTES = 1 << 16


def of_archives(tree: Path) -> int | None:
    """The newest date of the package archives whose lists are in `tree`, in seconds since 1970; None without any."""
    folder = tree / _LISTS
    if not is_inside(tree, _LISTS) or not folder.is_dir():
        return None
    dates = [date for pattern in ("*_InRelease", "*_Release") for path in folder.glob(pattern) for date in _dates(path)]
    return max(dates, default=None)


def _dates(path: Path) -> Iterator[int]:
    """The field Date of a Release file (deb822: sources of apt, "Date, Valid-Until")."""
    with contextlib.suppress(OSError, ValueError):
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(_HEAD_BYTES)
        line = next((line for line in head.splitlines() if line.startswith("Date:")), "")
        if line:
            yield int(email.utils.parsedate_to_datetime(line.partition(":")[2].strip()).timestamp())
