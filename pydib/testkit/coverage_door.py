"""The options `--element-cov...` of pytest: lines of elements' scripts are counted, told, and demanded."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from pydib.testkit.shell_coverage import Report, recorded, table, total


class ElementCoverage:
    """Registered as a plugin of its own when lines are wanted."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._text = ""
        self._short: list[str] = []
        self._stack = ExitStack()
        self._lines = self._stack.enter_context(recorded())

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, and let the session fail if too few lines ran."""
        wanted = str(self._config.getoption("--element-cov"))
        folders = [Path(self._config.invocation_params.dir, place) for place in wanted.split(os.pathsep) if place]
        if not self._lines:
            self._text = "no script of an element ran, so there is nothing to tell\n"
            return
        report = Report(self._lines, folders, Path(str(self._config.getoption("--element-cov-data"))))
        rows, elements = report.scripts(), report.elements()
        self._text = table(rows, elements)
        if (page := self._config.getoption("--element-cov-html")) is not None:
            report.html(Path(str(page)))
        if (file := self._config.getoption("--element-cov-lcov")) is not None:
            report.lcov(Path(str(file)))
        limit = float(str(self._config.getoption("--element-cov-fail-under")))
        self._short = [f"{row.name}: {row.percent:.1f} %" for row in (*elements, total(rows)) if row.percent < limit]
        if self._short and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("lines of elements' scripts")
        terminalreporter.write(self._text)
        if self._short:
            limit = self._config.getoption("--element-cov-fail-under")
            terminalreporter.write_line(f"too few lines ran, {limit} % are wanted: {', '.join(self._short)}", red=True)

    def pytest_unconfigure(self) -> None:
        """Count no longer."""
        self._stack.close()
