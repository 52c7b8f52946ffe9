"""Lines of elements' scripts that tests ran, and reports about them, which coverage.py makes."""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SHELL_HEAD = (b"/bash", b" bash", b"# shellcheck shell=bash")
"""Only bash tells its lines: scripts for /bin/sh do not count."""
NOT_SCRIPTS = frozenset({"tests", "test-elements", "__pycache__"})

Lines = dict[Path, set[int]]
_recorders: list[Lines] = []


@contextmanager
def recorded() -> Iterator[Lines]:
    """Count lines as long as the block lasts: as bash and Python tell them, by element file."""
    lines: Lines = defaultdict(set)
    _recorders.append(lines)
    try:
        yield lines
    finally:
        _recorders[:] = [other for other in _recorders if other is not lines]


def is_wanted() -> bool:
    """Whether lines are counted."""
    return bool(_recorders)


def collect(trace: Path, source_of: Callable[[str], Path | None]) -> None:
    """Take over what `shell/trace` has written, and empty the file.

    Args:
        source_of: gives the element's own file for a path as the script saw it.
    """
    if not _recorders:
        return
    found: dict[str, set[int]] = defaultdict(set)
    for line in set(trace.read_text(errors="surrogateescape").splitlines()):
        path, _, number = line.rpartition(":")
        if number.isdigit():
            found[path].add(int(number))
    trace.write_text("")
    for path, numbers in found.items():
        source = source_of(path)
        if source is not None:
            for lines in _recorders:
                lines[source.resolve()] |= numbers


def scripts_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Scripts in bash and Python of all elements in `folders`."""
    for folder in folders:
        for place, directories, files in os.walk(folder):
            directories[:] = sorted(name for name in directories if name not in NOT_SCRIPTS)
            yield from (Path(place, name) for name in sorted(files) if _kind(Path(place, name)))


def _kind(file: Path) -> str:
    """`bash`, `python`, or nothing."""
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        head = opened.readline(200)
    if file.parent.name == "environment.d" or file.suffix == ".bash":
        return "bash"
    if head.startswith(b"#!") and b"python" in head:
        return "python"
    return "bash" if head.startswith((b"#!", b"# shellcheck")) and any(word in head for word in SHELL_HEAD) else ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Counted lines of one script or element, and how many of them ran."""

    name: str
    lines: int
    executed: int
    missing: str = ""

    @property
    def percent(self) -> float:
        """Of the lines that ran; 100 when there are none."""
        return 100.0 * self.executed / self.lines if self.lines else 100.0


class Report:
    """What coverage.py says about lines.

    Args:
        lines: those that ran, see `recorded`.
        folders: elements, or folders of elements: all their scripts count. Without any, the scripts that ran.
        data_file: where coverage.py's data is kept.
    """

    def __init__(self, lines: Lines, folders: Sequence[Path], data_file: Path) -> None:
        import coverage
        from coverage.data import CoverageData

        from pydib.testkit.coverage_plugin import NAME

        data_file.unlink(missing_ok=True)
        data = CoverageData(str(data_file))
        wanted = sorted({script.resolve() for script in scripts_below(folders)} or lines.keys())
        self._scripts = [script for script in wanted if _kind(script)]
        data.add_lines({str(script): lines.get(script, set()) for script in self._scripts})
        data.add_file_tracers({str(script): NAME for script in self._scripts if _kind(script) == "bash"})
        data.write()
        data.close()
        self._coverage = coverage.Coverage(data_file=str(data_file), config_file=False, check_preimported=False)
        self._coverage.set_option("run:plugins", ["pydib.testkit.coverage_plugin"])
        self._coverage.load()

    def scripts(self) -> list[Row]:
        """One row a script that has lines, named as ELEMENT/PATH."""
        rows = []
        for script in self._scripts:
            _, statements, _, missing, text = self._coverage.analysis2(str(script))
            if statements:
                rows.append(Row(name=_name(script), lines=len(statements), missing=text,
                                executed=len(statements) - len(missing)))
        return rows

    def elements(self) -> list[Row]:
        """One row an element."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.scripts():
            found[row.name.partition("/")[0]].append(row)
        return [Row(name=name, lines=sum(row.lines for row in rows), executed=sum(row.executed for row in rows))
                for name, rows in sorted(found.items())]

    def html(self, folder: Path) -> None:
        """Write pages to `folder`."""
        self._coverage.html_report(directory=str(folder))

    def lcov(self, file: Path) -> None:
        """Write lcov's format to `file`."""
        self._coverage.lcov_report(outfile=str(file))


def table(rows: Sequence[Row], elements: Sequence[Row]) -> str:
    """Scripts that miss lines, then elements, then all together."""
    out = io.StringIO()
    width = max((len(row.name) for row in (*rows, *elements)), default=0) + 2
    print(f"{'script or element':<{width}} {'lines':>6} {'ran':>6} {'%':>6}  missing", file=out)
    for row in [*(row for row in rows if row.missing), *elements, total(rows)]:
        print(f"{row.name:<{width}} {row.lines:>6} {row.executed:>6} {row.percent:>6.1f}  {row.missing}".rstrip(),
              file=out)
    return out.getvalue()


def total(rows: Sequence[Row]) -> Row:
    """All together."""
    return Row(name="all", lines=sum(row.lines for row in rows), executed=sum(row.executed for row in rows))


def _name(script: Path) -> str:
    """ELEMENT/PATH."""
    element = next(filter(_is_element, script.parents), None) or next(filter(_has_readme, script.parents), None)
    return f"{element.name}/{script.relative_to(element)}" if element else script.name


def _is_element(folder: Path) -> bool:
    named = any((folder / name).exists() for name in ("element-deps", "element-provides", "package-installs.yaml"))
    return named or any(child.is_dir() for child in folder.glob("*.d"))


def _has_readme(folder: Path) -> bool:
    return (folder / "README.rst").exists() or (folder / "README.md").exists()
