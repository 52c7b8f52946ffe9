"""An element over an imagined fake root: its Python scripts run in this process, and pyfakefs shows them the root."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydib import clock
from pydib.element.hooks import merge
from pydib.element.shelf import find_elements
from pydib.testkit.hooks import find_element, with_dependencies
from pydib.testkit.imagined import ImaginedRoot, entries_of
from pydib.testkit.real_disk import real_disk
from pydib.testkit.result import ScriptRun, Snapshot, differences, written

TARGET = "/"


class ImaginedElement:
    """One element, merged with what it depends on. Only its Python scripts can run: a shell sees the real disk."""

    def __init__(self, name: str, *, root: ImaginedRoot, shelves: Sequence[Path], also: Sequence[str] = ()) -> None:
        self.name = name
        self.root = root
        with real_disk():
            shelf = find_elements(shelves)
            self.directory = find_element(name, shelf).path
            entries = merge(with_dependencies((name, *also), shelf))
            self._scripts = {entry.target: entry.source.read_text() for entry in entries
                             if not entry.is_dir and _is_python(entry.source)}

    def run(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> ScriptRun:
        """Run a Python script; the target is `/`, which TARGET_ROOT and TMP_MOUNT_PATH say as well."""
        if script not in self._scripts:
            there = ", ".join(sorted(self._scripts)) or "none"
            raise AssertionError(f"{self.name} has no Python script {script}; it has: {there}. Other scripts run over "
                                 "the materialised fake root: leave out the marker fake_root('imagined')")
        variables = {"TARGET_ROOT": TARGET, "TMP_MOUNT_PATH": TARGET, "DIB_OFFLINE": "", "PATH": os.defpath,
                     **self.root.env, **(env or {})}
        before, began = self._look(), clock.monotonic()
        with _surroundings(script, arguments, variables) as output:
            code = _execute(self._scripts[script], script)
        after = self._look()
        return ScriptRun(script=script, exit_code=code, output=output.getvalue(), seconds=clock.monotonic() - began,
                         wrote=written(before, after), removed=tuple(sorted(before.keys() - after.keys())),
                         changes=differences(before, after))

    def _look(self) -> Snapshot:
        return dict(entries_of(self.root.filesystem))


def _is_python(file: Path) -> bool:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first = file.read_text().partition("\n")[0]
        return first.startswith("#!") and "python" in first
    return False


def _execute(source: str, name: str) -> int:
    try:
        exec(compile(source, name, "exec"), {"__name__": "__main__", "__file__": name})
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201 # as Python itself would
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _surroundings(script: str, arguments: Sequence[str], variables: Mapping[str, str]) -> Iterator[io.StringIO]:
    """Environment, arguments and output of a program of its own; other programs cannot be started."""
    processes: Any = sys.modules["subprocess"]
    output, kept = io.StringIO(), (dict(os.environ), sys.argv, processes.Popen, os.system)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = [script, *arguments]
    refuse: Any = _refuse
    processes.Popen, os.system = refuse, refuse
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            yield output
    finally:
        os.environ.clear()
        os.environ.update(kept[0])
        sys.argv, processes.Popen, os.system = kept[1:]


def _refuse(command: object, *_: object, **__: object) -> Callable[[], None]:
    raise RuntimeError(f"{command!r} would run on the real machine: a script that starts programs needs the "
                       "materialised fake root")
