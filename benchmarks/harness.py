"""Timing two commands in turn, A B A B ..., and telling medians and their ratio."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""Between these `python -m benchmarks --write` puts the table."""


class Failed(Exception):
    """A command that was to be timed has failed."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two: its name, command and environment; `before` is called, untimed, ahead of each run."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    before: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Seconds of each run of ours and of the baseline. `goal` is what the ratio of the medians may be at most, and
    `limit_seconds` our median; None for no such goal."""

    case: str
    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    baseline_name: str
    goal: float | None = None
    limit_seconds: float | None = None

    @property
    def met(self) -> bool:
        """Whether every goal was reached."""
        return (self.goal is None or self.ratio <= self.goal) and (
            self.limit_seconds is None or statistics.median(self.ours) <= self.limit_seconds)

    @property
    def goal_text(self) -> str:
        """The goals, for people."""
        texts = [f"{self.goal:.2f}" if self.goal is not None else "",
                 f"{self.limit_seconds:.3g} s" if self.limit_seconds is not None else ""]
        return " ".join(text for text in texts if text)

    @property
    def ratio(self) -> float:
        """Median of ours over median of the baseline."""
        return statistics.median(self.ours) / statistics.median(self.baseline)


def timed(side: Side) -> float:
    """Seconds of one run.

    Raises:
        Failed: the command failed; the end of its output is told.
    """
    side.before()
    begun = time.monotonic()
    done = subprocess.run(side.argv, env=dict(side.env), cwd=side.cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    seconds = time.monotonic() - begun
    if done.returncode:
        tail = done.stdout.decode(errors="replace").splitlines()[-25:]
        raise Failed(f"{side.name} ended with {done.returncode}\n" + "\n".join(tail))
    return seconds


def compare(case: str, ours: Side, baseline: Side, *, runs: int, goal: float | None = None,
            limit_seconds: float | None = None, warm_up: bool = False) -> Result:
    """Run both sides in turn `runs` times."""
    return compare_all(case, ours, [baseline], runs=runs, goal=goal, limit_seconds=limit_seconds, warm_up=warm_up)[0]


def compare_all(case: str, ours: Side, baselines: Sequence[Side], *, runs: int, goal: float | None = None,
                limit_seconds: float | None = None, warm_up: bool = False) -> list[Result]:
    """Run all sides in turn `runs` times; a result for each baseline."""
    rounds = [[timed(side) for side in (ours, *baselines)] for _ in range(runs + warm_up)][int(warm_up):]
    own, *others = zip(*rounds, strict=True)
    return [Result(case=case, ours=own, baseline=seconds, baseline_name=side.name, goal=goal,
                   limit_seconds=limit_seconds) for side, seconds in zip(baselines, others, strict=True)]


def machine_card() -> dict[str, str]:
    """What the figures were measured on."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {"cores": str(os.cpu_count()), "memory": memory.split(":")[1].strip(), "kernel": platform.release(),
            "python": platform.python_version(), "load": f"{os.getloadavg()[0]:.1f}",
            "time": time.strftime("%Y-%m-%d %H:%M:%S %z")}


def table(results: Sequence[Result]) -> str:
    """The results as text."""
    lines = [f"{'case':<46} {'pydib s':>9} {'baseline s':>11} {'ratio':>7} {'goal':>7}  baseline"]
    for result in results:
        mark = "" if result.met else "  missed"
        lines.append(f"{result.case:<46} {statistics.median(result.ours):>9.3f} "
                     f"{statistics.median(result.baseline):>11.3f} {result.ratio:>7.3f} {result.goal_text:>7}  "
                     f"{result.baseline_name}{mark}")
    return "\n".join(lines)


def markdown(results: Sequence[Result], machine: Mapping[str, str], growth: str = "") -> str:
    """The results as tables in Markdown, under what they were measured on: those with a goal, then all others, folded
    away, with the text on how cost grows."""
    aimed, others = ([one for one in results if bool(one.goal_text) is kind] for kind in (True, False))
    lines = ["Measured on: " + ", ".join(f"{key} {value}" for key, value in machine.items()) + ".", "",
             *_rows(aimed or others)]
    if aimed and (others or growth):
        lines += ["", "<details><summary>All other cases, and how cost grows</summary>", "", *_rows(others)]
        lines += ["", "```", growth, "```"] if growth else []
        lines += ["", "</details>"]
    return "\n".join(lines)


def _rows(results: Sequence[Result]) -> Iterator[str]:
    yield "| case | pydib | beside it | ratio | goal |"
    yield "|---|---|---|---|---|"
    for result in results:
        goal = result.goal_text + ("" if result.met or not result.goal_text else " (missed)")
        yield (f"| {result.case.strip()} | {statistics.median(result.ours):.2f} s "
               f"| {statistics.median(result.baseline):.2f} s ({result.baseline_name}) | {result.ratio:.3f} | {goal} |")


def write_between_marks(text: str, path: Path) -> None:
    """Put `text` between the two marks in the Markdown file `path`, instead of what is there.

    Raises:
        ValueError: the file lacks a mark.
    """
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the marks {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def save(results: Sequence[Result], machine: Mapping[str, str], path: Path, growth: Sequence[Any] = ()) -> None:
    """The results, every run of them, and how cost grows, as JSON."""
    rows = [{**asdict(result), "ratio": result.ratio} for result in results]
    grown = [{**asdict(series), "exponent": series.exponent} for series in growth]
    path.write_text(json.dumps({"machine": dict(machine), "results": rows, "growth": grown}, indent=2) + "\n")
