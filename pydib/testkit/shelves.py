"""Where the fixture `element` looks for elements."""

from __future__ import annotations

import os
from pathlib import Path

from pydib.paths import elements_dir


def shelves_of(test: Path, given: str) -> list[Path]:
    """Beside the element whose `tests/` the test file is in, in `given` (as ELEMENTS_PATH), in ELEMENTS_PATH, ours."""
    beside = [parent.parent.parent for parent in test.parents if parent.name == "tests"]
    named = f"{given}{os.pathsep}{os.environ.get('ELEMENTS_PATH', '')}".split(os.pathsep)
    places = [*beside, *(Path(place) for place in named if place), elements_dir()]
    return list(dict.fromkeys(place.resolve() for place in places if place.is_dir()))
