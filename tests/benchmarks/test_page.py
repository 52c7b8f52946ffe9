"""What the benchmarks make of figures: exponents, a table and a page."""

from __future__ import annotations

import re

import pytest

from benchmarks.growth import Series, table
from benchmarks.harness import Result, markdown
from benchmarks.page import page

SIZES = (1.0, 10.0, 100.0, 1000.0)


def series(power: float) -> Series:
    return Series(name="work <done>", unit="things", sizes=SIZES, seconds=tuple(0.001 * size**power for size in SIZES))


@pytest.mark.parametrize(("power", "met"), [(0.5, True), (1.0, True), (1.1, True), (1.3, False), (2.0, False)])
def test_growth_is_told_by_its_exponent(power: float, met: bool) -> None:
    found = series(power)
    assert abs(found.exponent - power) < 0.01
    assert found.met is met
    assert ("NOT MET" in table([found])) is not met


def test_two_points_are_enough_for_an_exponent() -> None:
    assert abs(Series(name="x", unit="y", sizes=(1.0, 2.0), seconds=(1.0, 2.0)).exponent - 1) < 0.01


def test_small_cases_do_not_hide_how_large_ones_grow() -> None:
    found = Series(name="x", unit="y", sizes=SIZES, seconds=(1.0, 1.0, 1.0, 100.0))
    assert found.exponent > 1.9


def test_the_page_has_charts_the_table_and_the_machine() -> None:
    result = Result(case="one & two", ours=(1.0, 2.0, 9.0), baseline=(4.0, 4.0, 4.0), baseline_name="by <hand>",
                    goal=0.4)
    text = page([result], [series(1.0)], {"cores": "2", "load": "0.1"})
    assert text.count("<svg") == text.count("</svg>") == 2
    assert "2.00 s, ratio 0.50 (goal missed)" in text
    assert "Measured on: cores 2, load 0.1" in text
    assert "measured exponent 1.00" in text
    assert "<hand>" not in text and "<done>" not in text and "one & two<" not in text
    assert len(re.findall("<circle", text)) == len(SIZES)


def test_pages_show_what_has_a_goal_and_fold_the_rest() -> None:
    aimed = Result(case="aimed", ours=(1.0,), baseline=(4.0,), baseline_name="other", goal=0.2)
    other = Result(case="other", ours=(1.0,), baseline=(4.0,), baseline_name="other")
    text = markdown([other, aimed], {"cores": "2"}, "grows by 1.00")
    shown, folded = text.split("<details>")
    assert "| aimed | 1.00 s | 4.00 s (other) | 0.250 | 0.20 (missed) |" in shown
    assert "| other | 1.00 s" in folded
    assert "```\ngrows by 1.00\n```" in folded
    assert folded.endswith("</details>")
    assert "<details>" not in markdown([other], {"cores": "2"})
    assert "| other | 1.00 s" in markdown([other], {"cores": "2"})
