"""Whole builds beside DIB, in one run: nothing cached, all cached, the last install.d script edited; of
`debian-minimal vm` also a comment edited in the first pre-install.d script, what keeping layers costs, and other ways
to such an image.

DIB keeps nothing of an image from build to build, so each round runs it once, and all cases of the round are compared
with that. Each side has its own elements, and what earlier builds have kept beside layers: package files, and ours what
it knows of drivers for an initramfs, and the last archives as they were compressed.
pydib compresses with zstd, as `pydib build` does unless told otherwise; DIB with zlib.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.cases import FIXTURES, debian_sides, emptied, ours_program, without_layers
from benchmarks.harness import Result, Side, timed

TREE_IS_FINISHED = "pack-tree"
"""The engine's first step after the tree is finished."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is built. `words` are elements, and options that both sides have; `folder` holds elements that neither side
    brings."""

    name: str
    words: tuple[str, ...]
    folder: Path | None = None


DEBIAN = Kind(name="debian-minimal vm", words=("debian-minimal", "vm"))
OTHERS = (
    Kind(name="tiny", words=("tiny-os", "tiny-gnu", "--image-size", "1"), folder=FIXTURES),
    Kind(name="debian-minimal", words=("debian-minimal",)),
    Kind(name="cloud-init, MariaDB", words=("debian-minimal", "vm", "cloud-init-nocloud", "-p", "mariadb-server")),
)


@dataclass(frozen=True, kw_only=True)
class Round:
    """Seconds of one run of everything; `ran` are the scripts that the comment's edit made run, less those that always
    do, and `peers` the seconds of others by their names."""

    theirs: float
    first: float
    unchanged: float
    edited: float
    edited_tree: float
    plain: float = 0.0
    comment: float = 0.0
    ran: tuple[str, ...] = ()
    peers: dict[str, float]


def builds(place: Path, runs: int) -> list[Result]:
    """`debian-minimal vm` in all cases; the first round only warms up. Peers run once, in the last round, but for the
    tools by hand, which put the archives by in the first one."""
    bench = _Bench(place, DEBIAN)
    rounds = [bench.full_round(one) for one in [["mmdebstrap"], *[[]] * (runs - 1), peers.installed()]][1:]
    firsts = tuple(one.first for one in rounds)
    ran = max((one.ran for one in rounds), key=len)
    told = _Told(bench, rounds)
    return [
        told("nothing cached", lambda one: one.first, goal=0.4),
        told("nothing changed", lambda one: one.unchanged, limit_seconds=1.0),
        told("last install.d script edited", lambda one: one.edited, limit_seconds=8.0),
        told("  ... to the finished tree", lambda one: one.edited_tree, limit_seconds=3.0),
        told(f"comment in pre-install.d edited ({len(ran)} ran)", lambda one: one.comment),
        Result(case="nothing cached, keeping layers", ours=firsts, baseline=tuple(one.plain for one in rounds),
               baseline_name="pydib --no-cache", goal=1.05),
        *(Result(case="nothing cached", ours=firsts, baseline_name=peers.NAMES[name], goal=1.0,
                 baseline=tuple(one.peers[name] for one in rounds if name in one.peers)) for name in rounds[-1].peers),
    ]


def recipes(place: Path, runs: int) -> list[Result]:
    """A tiny system, Debian without a disk's parts, and a database server for a cloud; a third of the runs, but one at
    least, after one that warms up."""
    found = []
    for kind in OTHERS:
        folder = place / kind.words[0] / str(len(found))
        folder.mkdir(parents=True)
        bench = _Bench(folder, kind)
        told = _Told(bench, [bench.round() for _ in range(1 + max(1, runs // 3))][1:])
        found += [told(f"{kind.name}: nothing cached", lambda one: one.first),
                  told(f"{kind.name}: nothing changed", lambda one: one.unchanged),
                  told(f"{kind.name}: last install.d script edited", lambda one: one.edited)]
    return found


class _Told:
    """Results of rounds, beside DIB."""

    def __init__(self, bench: _Bench, rounds: Sequence[Round]) -> None:
        self._name, self._rounds = bench.dib.name, rounds

    def __call__(self, case: str, pick: Callable[[Round], float], **goals: float) -> Result:
        return Result(case=case, ours=tuple(map(pick, self._rounds)), baseline_name=self._name,
                      baseline=tuple(one.theirs for one in self._rounds), **goals)


class _Bench:
    """The two sides, and an element whose scripts are edited."""

    def __init__(self, place: Path, kind: Kind) -> None:
        self._place = place
        self._events = place / "events.jsonl"
        self._edits = iter(range(1, 1_000_000))
        element = place / "elements" / "edited"
        self._first, self._last = element / "pre-install.d" / "00-aa-first", element / "install.d" / "99-zz-last"
        self._write(self._first, "echo first >/etc/first")
        self._write(self._last, "echo 0 >/etc/edited")
        folders = [str(place / "elements"), *([str(kind.folder)] if kind.folder else [])]
        words = [*(["-n"] if kind.folder else []), *kind.words, "edited"]
        ours, theirs = debian_sides(place, words)
        env = {"ELEMENTS_PATH": os.pathsep.join(folders)}
        line = [ours_program("pydib"), "build", "-o", str(place / "out" / "disk"), "--events", str(self._events),
                *("--no-base" if word == "-n" else word for word in words)]
        self.dib = replace(theirs, env={**theirs.env, **env})
        self._ours = replace(ours, argv=line, env={**ours.env, **env})

    def round(self) -> Round:
        """DIB, then ours: nothing cached, nothing changed, the last script edited."""
        theirs = timed(self.dib)
        first = self._timed(before=without_layers(self._place))
        unchanged = self._timed()
        edited = self._timed(before=lambda: self._edit(self._last, "echo {0} >/etc/edited"))
        return Round(theirs=theirs, first=first, unchanged=unchanged, edited=edited,
                     edited_tree=self._seconds_to(TREE_IS_FINISHED) + edited - self._seconds_to(""), peers={})

    def full_round(self, others: Sequence[str]) -> Round:
        """Everything, and `others` of the peers."""
        plain = self._timed(argv=[*self._ours.argv, "--no-cache"], before=emptied(self._place / "out"))
        found = self.round()
        comment = self._timed(before=lambda: self._edit(self._first, "# edit {0}\necho first >/etc/first"))
        return replace(found, plain=plain, comment=comment, ran=tuple(self._ran()),
                       peers={name: timed(self._peer(name)) for name in others})

    def _peer(self, name: str) -> Side:
        """The packages are those of the image that the last build made."""
        packages, folder = self._place / "packages", self._place / "peer"
        packages.write_text("\n".join(peers.packages_of(self._place / "out" / "disk")))
        return replace(self._ours, name=peers.NAMES[name], before=emptied(folder), cwd=Path(__file__).parents[1],
                       argv=peers.command_line(name, folder, packages, self._place / "archives"))

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
