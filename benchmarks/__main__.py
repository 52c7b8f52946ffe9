"""Run benchmarks: `python -m benchmarks [--runs N] [--json FILE] [--html FILE] [--write] [CASE...]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import oracle
from benchmarks.builds import builds, recipes
from benchmarks.cases import CASES, formats, trees
from benchmarks.growth import Series, growth
from benchmarks.growth import table as growth_table
from benchmarks.harness import Failed, Result, machine_card, markdown, save, table, write_between_marks
from benchmarks.page import page
from benchmarks.phases import phases

HERE = Path(__file__).resolve().parent
SUITES = {"builds": builds, "recipes": recipes, "phases": phases, "formats": formats, "trees": trees}
"""Cases that share their runs."""
GROWTH = "growth"


def main() -> int:
    """Measure the cases that were named, all by default; 1 if a goal was missed, or a case failed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="of: " + " ".join([*SUITES, *CASES, GROWTH]))
    parser.add_argument("--runs", type=int, default=3, help="how often each side runs (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts to FILE")
    parser.add_argument("--largest", type=float, default=2.0, metavar="GB",
                        help="the largest tree whose growth is measured, up to 8; it lies in memory, with its disk")
    parser.add_argument("--write", action="store_true",
                        help="put the table into benchmarks/README.md and README.md")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES) - set(SUITES) - {GROWTH}
    if options.runs < 1:
        parser.error("--runs is a number of 1 or more")
    if not 0.2 <= options.largest <= 8:
        parser.error("--largest is a number of GB from 0.2 to 8")
    if unknown:
        parser.error(f"no such case: {' '.join(sorted(unknown))}")
    oracle.check()
    results: list[Result] = []
    grown: list[Series] = []
    failed = False
    machine = machine_card()
    print(" · ".join(f"{key} {value}" for key, value in machine.items()))
    for name in options.cases or [*SUITES, *CASES, GROWTH]:
        with tempfile.TemporaryDirectory(prefix="pydib-bench-", dir="/dev/shm" if name == GROWTH else None) as place:
            try:
                if name == GROWTH:
                    grown = growth(Path(place), options.runs, largest_gb=options.largest)
                    print(growth_table(grown), flush=True)
                    continue
                new = (SUITES[name](Path(place), options.runs) if name in SUITES
                       else [CASES[name](Path(place), options.runs)])
            except (Failed, OSError, subprocess.CalledProcessError) as problem:
                print(f"benchmarks: {name}: {problem}", file=sys.stderr)
                failed = True
                continue
        print(table(new) if not results else "\n".join(table(new).splitlines()[1:]), flush=True)
        results += new
    if options.json:
        save(results, machine, options.json, grown)
    if options.html:
        options.html.write_text(page(results, grown, machine), encoding="utf-8")
    if options.write:
        for path in (HERE / "README.md", HERE.parent / "README.md"):
            write_between_marks(markdown(results, machine, growth_table(grown) if grown else ""), path)
    return 0 if not failed and all(one.met for one in (*results, *grown)) else 1


if __name__ == "__main__":
    sys.exit(main())
