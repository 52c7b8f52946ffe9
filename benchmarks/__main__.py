"""Run benchmarks: `python -m benchmarks [--runs N] [--json FILE] [CASE...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import oracle
from benchmarks.cases import CASES
from benchmarks.harness import machine_card, save, table


def main() -> int:
    """Measure the cases that were named, all by default; 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="of: " + " ".join(CASES))
    parser.add_argument("--runs", type=int, default=3, help="how often each side runs (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {' '.join(sorted(unknown))}")
    oracle.check()
    results = []
    print(" · ".join(f"{key} {value}" for key, value in machine_card().items()))
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix="pydib-bench-") as place:
            results.append(CASES[name](Path(place), options.runs))
        print(table(results[-1:]) if len(results) == 1 else table(results[-1:]).splitlines()[1], flush=True)
    if options.json:
        save(results, options.json)
    return 1 if not all(result.met for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
