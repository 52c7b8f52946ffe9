"""What came of the tests that prove elements: whoever reads the table in docs/elements can rely on it.

`tests/conftest.py` registers `Results` in every run. At the end of a full one (`make test`, as root) each element that
is listed must have its strongest proof from a test that ran and passed. The longest tests only run in `make
test-boot-all` (`PYDIB_BOOT_ALL=1`): with `--record-boots` such a run notes in `boots.json` those that passed, with the
date and a digest of the elements' files. For these the note counts, and the table says the date.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.catalogue import notes, pages

LONG = "long: `make test-boot-all` runs it"
"""The reason by which a test is known to be one of the longest."""


@dataclass
class Outcome:
    """How the cases of a test that prove one element ended."""

    passed: bool = False
    failed: bool = False
    skipped: str = ""
    long: bool = True

    @property
    def good(self) -> bool:
        """At least one case passed, none failed."""
        return self.passed and not self.failed


class Results:
    """Watches a run of pytest. An outcome belongs to an element, a way to prove it, and a test without parameters."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._proofs: dict[str, list[tuple[str, str, str]]] = {}
        self.outcomes: dict[tuple[str, str, str], Outcome] = defaultdict(Outcome)
        self._lines: list[str] = []
        self._selected = False

    def pytest_deselected(self) -> None:
        """Not all tests run."""
        self._selected = True

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what each test proves, and whether it is one of the longest."""
        for item in session.items:
            path = item.path.relative_to(pages.ROOT).as_posix() if item.path.is_relative_to(pages.ROOT) else ""
            name = f"{path}::{getattr(item, 'originalname', item.name)}"
            found = [(element, mark.kwargs["how"], name) for mark in item.iter_markers("proves")
                     for element in mark.args]
            if path.startswith("elements/"):
                found.append((item.path.parts[-3], "fake root", path))
            is_long = any(mark.kwargs.get("reason") == LONG for mark in item.iter_markers("skipif"))
            for key in found:
                self.outcomes[key].long &= is_long
            self._proofs[item.nodeid] = found

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test ended."""
        for key in self._proofs.get(report.nodeid, ()):
            outcome = self.outcomes[key]
            outcome.passed |= report.passed and report.when == "call"
            outcome.failed |= report.failed
            if report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
                outcome.skipped = reason.removeprefix("Skipped: ")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Note long tests that passed, if that is wished; let a full run fail if a proof is missing."""
        if self._config.getoption("record_boots", default=False):
            self._record()
        if self._is_full() and session.exitstatus == pytest.ExitCode.OK:
            self._lines = list(missing(self.outcomes, notes.boots()))
            if self._lines:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the elements without proof."""
        if self._lines:
            terminalreporter.section("elements without the proof that docs/elements tells of")
            for line in self._lines:
                terminalreporter.write_line(line, red=True)

    def _is_full(self) -> bool:
        """Whether everything was collected, on a machine where all of it can run."""
        return (self._config.args_source == pytest.Config.ArgsSource.TESTPATHS and not self._selected
                and not self._config.getoption("collectonly") and os.geteuid() == 0)

    def _record(self) -> None:
        kept = {test: dict(elements) for test, elements in notes.boots().items()}
        for (element, _, test), outcome in self.outcomes.items():
            if outcome.long and outcome.good:
                kept.setdefault(test, {})[element] = {"date": time.strftime("%Y-%m-%d"),
                                                      "digest": notes.digest(element)}
        notes.BOOTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def missing(outcomes: Mapping[tuple[str, str, str], Outcome], noted: notes.Noted) -> Iterator[str]:
    """Elements whose strongest proof did not run and is not noted, a line each with the reason."""
    proven = pages.by_element()
    for element in sorted(name for each in pages.wanted().values() for name in each):
        best = pages.strongest(proven.get(element, []))
        if not best:
            yield f"{element}: no test proves it"
        ended = [(proof.test, outcomes.get((element, proof.how, proof.test), Outcome())) for proof in best]
        if any(outcome.good or element in noted.get(test, {}) for test, outcome in ended):
            continue
        for test, outcome in ended:
            yield f"{element}: {test}: {'failed' if outcome.failed else outcome.skipped or 'did not run'}"
