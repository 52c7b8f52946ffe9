"""What elements say of the outside world: an element may ship a program `fingerprint` that prints it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydib import events
from pydib.host.script import Job, Launcher

PROGRAM = "fingerprint"


class Fingerprints:
    """The fingerprints of a build's elements, each program run once in a build.

    Args:
        elements: directory by name.
        cwd: where the programs start.
    """

    def __init__(self, elements: Mapping[str, Path], cwd: Path, launcher: Launcher, report: events.Reporter) -> None:
        self._elements, self._cwd, self._launcher, self._report = elements, cwd, launcher, report
        self._printed: dict[bytes, str] = {}
        self._told: Mapping[str, str] | None = None

    def told(self, env: Mapping[str, str]) -> Mapping[str, str]:
        """By element what its program printed, empty when it failed. The first call decides.

        Args:
            env: that of scripts on the host.
        """
        if self._told is None:
            programs = {element: path / PROGRAM for element, path in self._elements.items()}
            self._told = {element: self._asked_once(program, element, env) for element, program in programs.items()
                          if os.access(program, os.X_OK)}
        return self._told

    def _asked_once(self, program: Path, element: str, env: Mapping[str, str]) -> str:
        """Elements may share a program; it is run once for all of them."""
        text = program.read_bytes()
        if text not in self._printed:
            self._printed[text] = self._asked(program, element, env)
        return self._printed[text]

    def _asked(self, program: Path, element: str, env: Mapping[str, str]) -> str:
        ended = self._launcher.run(Job(argv=["bash", "-c", 'exec "$0" >&3', str(program)], env=env,
                                       cwd=str(self._cwd), capture=True))
        if ended.code:
            self._report(events.Warned(text=f"the fingerprint of element {element} failed with exit code {ended.code}; "
                                            "its layers from root.d are good for a day"))
            return ""
        return ended.captured.decode("utf-8", "replace").strip()
