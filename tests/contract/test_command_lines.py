"""Odd and bad command lines: our programs beside diskimage-builder's own (contract section 1)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.test_drop_in import CASES, Case, call, environment
from tests.contract.compare import Family

Answer = tuple[int, str, list[str]]


@pytest.mark.family("command lines")
@pytest.mark.contract("C-003", "C-004", "C-005", "C-008", "C-009", "C-011", "C-012", "C-063", "C-064", "C-065")
def test_command_lines_end_alike(family: Family, oracle_environment: Path, tmp_path: Path) -> None:
    for number, case in enumerate(case for case in CASES if not case.bettered):
        folder = tmp_path / str(number)
        folder.mkdir()
        family.compare(case, theirs(case, oracle_environment, folder), ours(case, folder))
    family.finish()


def ours(case: Case, folder: Path) -> Answer:
    """What ours does."""
    return told(call(case, folder))


def theirs(case: Case, oracle: Path, folder: Path) -> Answer:
    """What diskimage-builder's does."""
    return told(subprocess.run([oracle / "bin" / case.program, *case.arguments], cwd=folder, text=True, check=False,
                               env=environment(folder, **case.env), stdin=subprocess.DEVNULL, capture_output=True))


def told(done: subprocess.CompletedProcess[str]) -> Answer:
    """The exit code, the stream of the first words and they, and what the log says is being built.

    Versions differ; so does all after the first word of a message.
    """
    stream, text = ("stdout", done.stdout) if done.stdout else ("stderr", done.stderr)
    words = text.split()[:2] if stream == "stdout" else text.split()[:1]
    if words[0][:1].isdigit():
        words = ["a version"]
    return done.returncode, stream, [*words, *(line for line in text.splitlines() if line.startswith("Building el"))]
