"""Digests that are taken while a script still runs."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pydib.layer.content import Sums, Window, content_of, looks_of
from pydib.layer.early import EarlySums, lies_on_disk

WINDOW = Window(begun_ns=0, ended_ns=1)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    if not lies_on_disk(tmp_path):
        pytest.skip(f"{tmp_path} lies on no filesystem that writes to a disk on demand: set TMPDIR to one")
    for name, text in {"etc/one": "1", "etc/two": "two", "usr/big": "b" * 3_000_000, "empty": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("etc/one")
    os.link(tmp_path / "etc/one", tmp_path / "usr/one")
    return tmp_path


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def early(layer: Path, files: int, meanwhile: Callable[[], object] = lambda: None) -> Sums:
    sums = EarlySums(layer, first_seconds=0, pause_seconds=0.05)
    until(lambda: len(sums._known) == files)
    meanwhile()
    return sums.stop()


def test_they_lead_to_the_same_content(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = early(layer, files=3)
    assert set(known) == {(layer / name).stat().st_ino for name in ("etc/one", "etc/two", "usr/big")}
    fresh = content_of(layer, WINDOW)
    monkeypatch.setattr("pydib.layer.content.sum_of", lambda file: pytest.fail("a file was read again"))
    assert content_of(layer, WINDOW, known) == fresh


@pytest.mark.parametrize("change", [
    lambda layer: (layer / "etc/two").write_text("TWO"),
    lambda layer: ((layer / "etc/two").unlink(), (layer / "etc/two").write_text("TWO")),
    lambda layer: (os.truncate(layer / "usr/big", 5), os.utime(layer / "usr/big", (1, 1))),
])
def test_what_changes_afterwards_is_read_again(layer: Path, change: Callable[[Path], object]) -> None:
    known = early(layer, files=3, meanwhile=lambda: change(layer))
    assert content_of(layer, WINDOW, known) == content_of(layer, WINDOW)


def test_a_file_that_was_just_written_waits(layer: Path) -> None:
    sums = EarlySums(layer, first_seconds=0, pause_seconds=0.05)
    until(lambda: len(sums._known) == 3)
    number = (layer / "etc/two").stat().st_ino
    (layer / "etc/two").write_text("TWO")
    time.sleep(0.3)
    assert not sums.stop()[number].startswith(looks_of((layer / "etc/two").stat()))


def test_a_later_write_through_a_mapping_is_noticed(layer: Path) -> None:
    """The page is dirty already when the digest is taken, so that this write, too, would not change the times."""
    with (layer / "usr/big").open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[10] = ord("x")
        known = early(layer, files=3)
        memory[11] = ord("y")
        assert content_of(layer, WINDOW, known) == content_of(layer, WINDOW)


def test_what_lies_in_memory_is_left_alone(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    assert not lies_on_disk(shm if shm.is_dir() else Path("/proc"))
