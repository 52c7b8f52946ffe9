"""Tree maps, and picking builds and scripts out of records."""

from __future__ import annotations

import math

import pytest

from pydib.layer.history import ran_line, rectangles
from pydib.layer.records import BuildRecord, Ran


@pytest.mark.parametrize("sizes", [[], [5], [3, 1], [9, 5, 5, 2, 1, 1, 1], [0, 0], list(range(60, 0, -1))])
def test_areas_are_shares_and_fill_the_picture(sizes: list[int]) -> None:
    boxes = rectangles(sizes, x=0, y=0, width=100, height=50)
    assert len(boxes) == len(sizes)
    if sum(sizes):
        for size, (x, y, width, height) in zip(sizes, boxes, strict=True):
            assert math.isclose(width * height, 5000 * size / sum(sizes), abs_tol=1e-6)
            assert -1e-6 <= x <= x + width <= 100 + 1e-6
            assert -1e-6 <= y <= y + height <= 50 + 1e-6


def test_a_script_is_found_by_path_or_name() -> None:
    line = Ran(script="install.d/20-x", element="e", phase="install", cached=True, reason="", before="", after="")
    build = BuildRecord(started=0, elements=(), image="", scripts=(line,))
    assert ran_line(build, "20-x") is line
    assert ran_line(build, "install.d/20-x") is line
    assert ran_line(build, "0-x") is None
