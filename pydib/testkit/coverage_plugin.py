"""A plugin of coverage.py that knows the lines of bash scripts, so that all its reports show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coverage.plugin import CoveragePlugin, FileReporter

from pydib.testkit.bash_lines import BashLines

NAME = "pydib.testkit.coverage_plugin.BashPlugin"
"""What coverage.py notes beside a file's lines."""


class BashReporter(FileReporter):
    """One script."""

    def lines(self) -> set[int]:
        """Lines of statements."""
        return set(self._lines.statements)

    def excluded_lines(self) -> set[int]:
        """Lines that do not count."""
        return set(self._lines.excluded)

    def translate_lines(self, lines: Any) -> set[int]:
        """Lines of statements, from lines that bash told."""
        return set(self._lines.executed(lines))

    @property
    def _lines(self) -> BashLines:
        return BashLines(Path(self.filename).read_bytes())


class BashPlugin(CoveragePlugin):
    """Bash in coverage.py."""

    def file_reporter(self, filename: str) -> FileReporter:
        """For one script."""
        return BashReporter(filename)


def coverage_init(registry: Any, _options: Any) -> None:
    """Called by coverage.py."""
    registry.add_file_tracer(BashPlugin())
