"""Whole builds of `debian-minimal vm` beside DIB, in one run: nothing cached, all cached, the last install.d script
edited, a comment edited in the first pre-install.d script, and what keeping layers costs.

DIB keeps nothing of an image from build to build, so each round runs it once, and all cases of the round are compared
with that. Each side has its own elements, and what earlier builds have kept beside layers: package files, and ours what
it knows of drivers for an initramfs, and the last archives as they were compressed.
pydib compresses with zstd, as `pydib build` does unless told otherwise; DIB with zlib.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import debian_sides, emptied, ours_program, without_layers
from benchmarks.harness import Result, Side, timed

TREE_IS_FINISHED = "pack-tree"
"""The engine's first step after the tree is finished."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Seconds of one run of everything; `ran` are the scripts that the comment's edit made run, less those that always
    do."""

    theirs: float
    plain: float
    first: float
    unchanged: float
    edited: float
    edited_tree: float
    comment: float
    ran: tuple[str, ...]


def builds(place: Path, runs: int) -> list[Result]:
    """All cases; the first round only warms up."""
    bench = _Bench(place)
    rounds = [bench.round() for _ in range(runs + 1)][1:]
    theirs = tuple(one.theirs for one in rounds)

    def result(case: str, pick: Callable[[Round], float], baseline: Sequence[float] = theirs,
               name: str = bench.dib.name, **goals: float) -> Result:
        return Result(case=case, ours=tuple(map(pick, rounds)), baseline=tuple(baseline), baseline_name=name, **goals)

    ran = max((one.ran for one in rounds), key=len)
    return [
        result("nothing cached", lambda one: one.first, goal=0.4),
        result("nothing changed", lambda one: one.unchanged, limit_seconds=1.0),
        result("last install.d script edited", lambda one: one.edited, limit_seconds=8.0),
        result("  ... to the finished tree", lambda one: one.edited_tree, limit_seconds=3.0),
        result(f"comment in pre-install.d edited ({len(ran)} ran)", lambda one: one.comment),
        result("nothing cached, keeping layers", lambda one: one.first, [one.plain for one in rounds],
               "pydib --no-cache", goal=1.05),
    ]


class _Bench:
    """The two sides, and an element whose scripts are edited."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._events = place / "events.jsonl"
        self._edits = iter(range(1, 1_000_000))
        element = place / "elements" / "edited"
        self._first, self._last = element / "pre-install.d" / "00-aa-first", element / "install.d" / "99-zz-last"
        self._write(self._first, "echo first >/etc/first")
        self._write(self._last, "echo 0 >/etc/edited")
        ours, theirs = debian_sides(place, "edited")
        env = {"ELEMENTS_PATH": str(place / "elements")}
        line = [ours_program("pydib"), "build", "-o", str(place / "out" / "disk"), "--events", str(self._events),
                "debian-minimal", "vm", "edited"]
        self.dib = replace(theirs, env={**theirs.env, **env})
        self._ours = replace(ours, argv=line, env={**ours.env, **env})

    def round(self) -> Round:
        """Run everything once."""
        theirs = timed(self.dib)
        plain = self._timed(argv=[*self._ours.argv, "--no-cache"], before=emptied(self._place / "out"))
        first = self._timed(before=without_layers(self._place))
        unchanged = self._timed()
        edited = self._timed(before=lambda: self._edit(self._last, "echo {0} >/etc/edited"))
        edited_tree = self._seconds_to(TREE_IS_FINISHED) + edited - self._seconds_to("")
        comment = self._timed(before=lambda: self._edit(self._first, "# edit {0}\necho first >/etc/first"))
        return Round(theirs=theirs, plain=plain, first=first, unchanged=unchanged, edited=edited,
                     edited_tree=edited_tree, comment=comment, ran=tuple(self._ran()))

    def _timed(self, argv: Sequence[str] = (), before: Callable[[], None] = lambda: None) -> float:
        self._events.unlink(missing_ok=True)
        side: Side = replace(self._ours, before=before, argv=argv or self._ours.argv)
        return timed(side)

    def _edit(self, script: Path, text: str) -> None:
        self._write(script, text.format(next(self._edits)))

    @staticmethod
    def _write(script: Path, text: str) -> None:
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!/bin/bash\n{text}\n")
        script.chmod(0o755)

    def _told(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self._events.read_text().splitlines())

    def _seconds_to(self, step: str) -> float:
        """From the first event of the last build to the beginning of that step, or to the last event."""
        times = [(datetime.fromisoformat(event["time"]).timestamp(), event.get("step")) for event in self._told()]
        end = next((when for when, name in times if step and name == step), times[-1][0])
        return end - times[0][0]

    def _ran(self) -> Iterator[str]:
        for event in self._told():
            if event["event"] == "ScriptStarted" and "always run" not in event["reason"]:
                yield event["script"]
