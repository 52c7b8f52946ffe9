"""The results as one HTML page that needs no other file: charts (SVG), a table, and what they were measured on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.growth import Series
from benchmarks.growth import table as growth_table
from benchmarks.harness import Result
from benchmarks.harness import table as result_table

_WIDTH, _ROW, _LABELS = 900, 38, 330
_CHART_WIDTH, _CHART_HEIGHT, _MARGIN = 520, 300, 60
OURS, THEIRS, STATED = "#3182bd", "#bdbdbd", "#e6550d"
_STYLE = """body { font: 14px sans-serif; margin: 2em; max-width: 70em; color: #222; background: #fff }
pre { background: #f4f4f4; padding: 1em; overflow-x: auto } text { font: 12px sans-serif } figure { margin: 1em 0 }"""


def page(results: Sequence[Result], growth: Sequence[Series], machine: Mapping[str, str]) -> str:
    """The whole page."""
    card = ", ".join(f"{name} {value}" for name, value in machine.items())
    parts = ["<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>pydib benchmarks</title>"
             f"<style>{_STYLE}</style></head><body>\n<h1>pydib benchmarks</h1>\n<p>Measured on: {escape(card)}. "
             "Medians of runs in turn; ratios hold on other machines, seconds do not.</p>\n"]
    if results:
        parts += ["<h2>Beside others</h2>\n", bars(results), f"<pre>{escape(result_table(results))}</pre>\n"]
    if growth:
        parts += ["<h2>How cost grows</h2>\n", *map(line_chart, growth), f"<pre>{escape(growth_table(growth))}</pre>\n"]
    return "".join([*parts, "</body></html>\n"])


def bars(results: Sequence[Result]) -> str:
    """For each case two bars, ours and the baseline, each pair in its own scale, with the ratio."""
    rows = []
    for number, result in enumerate(results):
        ours, theirs = statistics.median(result.ours), statistics.median(result.baseline)
        scale, top = (_WIDTH - _LABELS - 150) / max(ours, theirs, 1e-9), number * _ROW
        missed = "" if result.met else " (goal missed)"
        rows.append(
            f"<text x='{_LABELS - 8}' y='{top + 20}' text-anchor='end'>{escape(result.case.strip())}</text>"
            f"<rect x='{_LABELS}' y='{top + 4}' width='{ours * scale:.1f}' height='13' fill='{OURS}'>"
            f"<title>pydib {ours:.3f} s</title></rect>"
            f"<text x='{_LABELS + ours * scale + 5:.1f}' y='{top + 15}'>{ours:.2f} s, ratio {result.ratio:.2f}"
            f"{missed}</text>"
            f"<rect x='{_LABELS}' y='{top + 18}' width='{theirs * scale:.1f}' height='13' fill='{THEIRS}'>"
            f"<title>{escape(result.baseline_name)} {theirs:.3f} s</title></rect>"
            f"<text x='{_LABELS + theirs * scale + 5:.1f}' y='{top + 29}' fill='#666'>{theirs:.2f} s "
            f"{escape(result.baseline_name)}</text>")
    return (f"<figure><svg viewBox='0 0 {_WIDTH + 120} {len(results) * _ROW + 4}' width='100%' role='img'>"
            + "\n".join(rows) + "</svg></figure>\n")


def line_chart(series: Series) -> str:
    """Seconds over size, both in logarithms, and a line of linear growth through the last point."""
    def x(size: float) -> float:
        return _position(size, series.sizes, _MARGIN, _CHART_WIDTH - 20)

    heights = [*series.seconds, series.seconds[-1] * series.sizes[0] / series.sizes[-1]]

    def y(seconds: float) -> float:
        return _position(seconds, heights, _CHART_HEIGHT - _MARGIN, 20)

    points = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds in zip(series.sizes, series.seconds,
                                                                              strict=True))
    marks = "".join(f"<circle cx='{x(size):.1f}' cy='{y(seconds):.1f}' r='4' fill='{OURS}'>"
                    f"<title>{size:g} {series.unit}: {seconds:.3f} s</title></circle>"
                    f"<text x='{x(size):.1f}' y='{_CHART_HEIGHT - _MARGIN + 18}' text-anchor='middle'>{size:g}</text>"
                    f"<text x='{x(size):.1f}' y='{y(seconds) - 9:.1f}' text-anchor='middle'>{seconds:.3g} s</text>"
                    for size, seconds in zip(series.sizes, series.seconds, strict=True))
    first, last = series.sizes[0], series.sizes[-1]
    title = f"{series.name}: stated {series.stated}, measured exponent {series.exponent:.2f}"
    return (f"<figure><svg viewBox='0 0 {_CHART_WIDTH} {_CHART_HEIGHT}' width='{_CHART_WIDTH}' role='img'>"
            f"<text x='{_MARGIN}' y='12'>{escape(title)}</text>"
            f"<line x1='{x(first):.1f}' y1='{y(heights[-1]):.1f}' x2='{x(last):.1f}' y2='{y(series.seconds[-1]):.1f}' "
            f"stroke='{STATED}' stroke-dasharray='5 4'><title>linear growth</title></line>"
            f"<polyline points='{points}' fill='none' stroke='{OURS}' stroke-width='2'/>{marks}"
            f"<text x='{_CHART_WIDTH / 2}' y='{_CHART_HEIGHT - 12}' text-anchor='middle'>{escape(series.unit)} "
            "(logarithmic)</text></svg></figure>\n")


def _position(value: float, values: Sequence[float], begin: float, end: float) -> float:
    """Where `value` lies between the least of `values`, at `begin`, and the largest, at `end`."""
    low, high = math.log(min(values)), math.log(max(values))
    return begin + (math.log(value) - low) / ((high - low) or 1) * (end - begin)
