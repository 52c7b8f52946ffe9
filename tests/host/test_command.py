"""Programs that read and write files themselves, where that may be much."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.errors import CommandFailed
from pydib.host.command import run

LINES = "".join(f"line {number}\n" for number in range(100_000)).encode()


def test_a_program_reads_from_a_file_and_writes_into_another(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(LINES)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "told").open("w+b") as told:
        assert run("sh", "-c", "cat; echo the end >&2", stdin=source, into=told) == ""
    assert (tmp_path / "told").read_bytes() == LINES + b"the end\n"


def test_what_a_program_wrote_last_into_a_file_is_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(LINES)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "told").open("w+b") as told, \
            pytest.raises(CommandFailed) as caught:
        run("sh", "-c", "cat; echo the disk is on fire >&2; exit 3", stdin=source, into=told)
    assert caught.value.code == 3
    assert caught.value.output.endswith("line 99999\nthe disk is on fire\n")
    assert len(caught.value.output) < 10_000
