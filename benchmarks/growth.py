"""How cost grows: with the number of elements, of scripts, and with the size of the tree.

Each series runs ever larger cases of one piece of work; the exponent is that of a power law fitted to its larger half
(1: twice as much takes twice as long). Small cases cost their start more than their size.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import fill
from pydib.element.hooks import merge
from pydib.element.resolve import resolve
from pydib.element.shelf import find_elements
from pydib.paths import phases_dir
from pydib.phase.phases import load_phases, phases_in_mode
from pydib.phase.plan import make_plan
from pydib.recipe import from_environment
from pydib.runner.hooktree import make_hook_tree

LINEAR_AT_MOST = 1.15
"""An exponent up to that is linear growth, measured."""
ELEMENTS = (1, 10, 30, 100, 300, 1000)
SCRIPTS = (1, 10, 100, 300, 1000, 3000)
GIGABYTES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
FILE_BYTES = 45_000


@dataclass(frozen=True, kw_only=True)
class Series:
    """Seconds by size. `unit` is what the sizes count, `stated` the growth that is claimed."""

    name: str
    unit: str
    sizes: tuple[float, ...]
    seconds: tuple[float, ...]
    stated: str = "linear"

    @property
    def exponent(self) -> float:
        """Of the power law through the larger half of the points, by least squares."""
        half = min(len(self.sizes) // 2, len(self.sizes) - 2)
        pairs = [(math.log(size), math.log(seconds))
                 for size, seconds in zip(self.sizes[half:], self.seconds[half:], strict=True)]
        slope, _ = statistics.linear_regression(*zip(*pairs, strict=True))
        return slope

    @property
    def met(self) -> bool:
        """Whether it grows as it is stated to."""
        return self.exponent <= LINEAR_AT_MOST


def growth(place: Path, runs: int, *, largest_gb: float = 2.0) -> list[Series]:
    """All series."""
    return [
        _series("elements found and resolved", "elements", ELEMENTS, lambda size: _elements(place, int(size)), runs),
        _series("plan and hook tree", "scripts", SCRIPTS, lambda size: _scripts(place, int(size)), runs),
        _series("disk of a tree, raw", "GB", tuple(size for size in GIGABYTES if size <= largest_gb), _disk, runs),
    ]


def _series(name: str, unit: str, sizes: Sequence[float], prepare: Callable[[float], Callable[[], float]], runs: int
            ) -> Series:
    found = []
    for size in sizes:
        once = prepare(size)
        found.append(statistics.median(once() for _ in range(runs)))
        if clean_up := getattr(once, "clean_up", None):
            clean_up()
    return Series(name=name, unit=unit, sizes=tuple(sizes), seconds=tuple(found))


def _elements(place: Path, count: int) -> Callable[[], float]:
    """`count` elements, each of which needs three of those after it."""
    shelf = place / f"elements{count}"
    for number in range(count):
        folder = shelf / f"e{number:04d}"
        folder.mkdir(parents=True)
        needed = [f"e{number + step:04d}" for step in (1, 2, 7) if number + step < count]
        (folder / "element-deps").write_text("\n".join(needed) + "\n")
    _an_operating_system(shelf / "e0000")

    def once() -> float:
        begun = time.monotonic()
        found = resolve(("e0000",), find_elements((shelf,)))
        seconds = time.monotonic() - begun
        assert len(found.names) == count
        return seconds
    return once


def _scripts(place: Path, count: int) -> Callable[[], float]:
    """`count` scripts of one element, in six phases."""
    shelf = place / f"scripts{count}"
    element = shelf / "many"
    names = ("extra-data", "pre-install", "install", "post-install", "finalise", "cleanup")
    for number in range(count):
        script = element / f"{names[number % len(names)]}.d" / f"{number:04d}-script"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    _an_operating_system(element)
    recipe = from_environment({"PATH": os.environ["PATH"]}, elements=("many",), types=("raw",))

    def once() -> float:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            begun = time.monotonic()
            resolution = resolve(("many",), find_elements((shelf,)))
            entries = merge(resolution.elements)
            phases = phases_in_mode(load_phases([phases_dir()]), "tree")
            plan = make_plan(recipe, resolution, entries, phases)
            make_hook_tree(plan.entries, Path(folder, "hooks"), lambda event: None)
            seconds = time.monotonic() - begun
        assert sum(step.kind == "script" for step in plan.steps) == count
        return seconds
    return once


def _an_operating_system(element: Path) -> None:
    element.mkdir(parents=True, exist_ok=True)
    (element / "element-provides").write_text("operating-system\n")


def _disk(gigabytes: float) -> Callable[[], float]:
    """A tree of that size in memory, in files of 45 kB, becomes a raw disk."""
    folder = tempfile.TemporaryDirectory(prefix="pydib-bench-", dir="/dev/shm")
    tree, out = Path(folder.name, "tree"), Path(folder.name, "out")
    fill(tree, round(gigabytes * 1e9 / FILE_BYTES), FILE_BYTES)

    def once() -> float:
        out.mkdir()
        argv = [sys.executable, "-m", "benchmarks.assembly", "tree", "raw", str(tree), str(out)]
        begun = time.monotonic()
        subprocess.run(["unshare", "--mount", "--propagation", "private", *argv], check=True,
                       cwd=Path(__file__).resolve().parent.parent)
        seconds = time.monotonic() - begun
        subprocess.run(["rm", "-rf", out], check=True)
        return seconds
    once.clean_up = folder.cleanup  # type: ignore[attr-defined]
    return once


def table(found: Sequence[Series]) -> str:
    """The series as text."""
    lines = []
    for series in found:
        points = "  ".join(f"{size:g}: {seconds:.3f}" for size, seconds in zip(series.sizes, series.seconds,
                                                                              strict=True))
        told = "" if series.met else "  NOT MET"
        lines.append(f"{series.name} (seconds by {series.unit})\n  {points}\n  stated {series.stated}, measured "
                     f"exponent {series.exponent:.2f}{told}")
    return "\n".join(lines)
