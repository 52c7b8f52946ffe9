"""Counting cases, and talking to the oracle."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Applies = Callable[[Any, Any, Any], bool]
"""Tells from a case, the oracle's result and ours whether a difference is the deliberate one."""
Loosen = Callable[[Any, Any], tuple[Any, Any]]
"""Takes one deliberate difference out of the oracle's result and ours."""


@dataclass(frozen=True)
class Betterment:
    """A difference that we want, and why."""

    family: str
    name: str
    reason: str
    applies: Applies = field(default=lambda case, theirs, ours: False, repr=False)
    loosen: Loosen = field(default=lambda theirs, ours: (theirs, ours), repr=False)


@dataclass
class Family:
    """The cases of one family."""

    name: str
    betterments: Sequence[Betterment]
    cases: int = 0
    explained: int = 0
    differences: list[str] = field(default_factory=list)
    deliberate: Counter[str] = field(default_factory=Counter)

    def compare(self, case: Any, theirs: Any, ours: Any) -> None:
        """Count one case; results that differ are a difference, unless a betterment says why."""
        self.cases += 1
        if theirs == ours:
            return
        for betterment in self.betterments:
            if betterment.applies(case, theirs, ours):
                self.deliberate[betterment.name] += 1
                self.explained += 1
                return
        left, found = (theirs, ours), []
        for betterment in self.betterments:
            before, left = left, betterment.loosen(*left)
            found += [betterment.name] * (left != before)
        if left[0] == left[1]:
            self.deliberate.update(found)
            self.explained += 1
            return
        self.differences.append(f"{case!r}\n  diskimage-builder: {theirs!r}\n  pydib:             {ours!r}")

    def finish(self) -> None:
        """Fail when there are differences, or betterments that no case shows any more."""
        shown = "\n".join(self.differences[:int(os.environ.get("SHOW", "5"))])
        assert not self.differences, f"{self.name}: {len(self.differences)} of {self.cases} cases differ\n{shown}"
        unused = [each.name for each in self.betterments if not self.deliberate[each.name]]
        assert not unused, f"{self.name}: no case shows these betterments: {unused}"


class PythonOracle:
    """The oracle's interpreter, waiting for cases. `hash_seed` is its PYTHONHASHSEED."""

    def __init__(self, environment: Path, *, hash_seed: int = 0) -> None:
        env = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
        self._process = subprocess.Popen([environment / "bin" / "python", HERE / "driver.py"], env=env, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, call: str, cases: Iterable[Any]) -> list[Any]:
        """The results of many cases."""
        process = self._process
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"call": call, "cases": list(cases)}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "the oracle's helper ended; its error is above"
        answer: list[Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class ShellOracle:
    """A bash that has the oracle's functions."""

    def __init__(self, lib: Path, sizes: Path) -> None:
        keep = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TMPDIR": str(sizes.parent)}
        self._process = subprocess.Popen(["bash", HERE / "driver.sh", lib, sizes], env=keep, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)

    def ask(self, call: str, *arguments: str) -> tuple[str, int]:
        """What the function printed, and its exit code."""
        process = self._process
        assert process.stdin and process.stdout
        fields = [call, *arguments, "", "", ""][:4]
        process.stdin.write(b"".join(os.fsencode(text) + b"\0" for text in fields))
        process.stdin.flush()
        return self._field(), int(self._field())

    def _field(self) -> str:
        process = self._process
        assert process.stdout
        data = bytearray()
        while (byte := process.stdout.read(1)) != b"\0":
            assert byte, "the oracle's shell ended"
            data += byte
        return os.fsdecode(bytes(data))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
