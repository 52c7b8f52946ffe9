"""The directories of a build: made, removed, and found again after a killed build."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from pydib.errors import EngineError, ImageError
from pydib.host import workspace as workspace_module
from pydib.host.workspace import BUILD_PREFIX, IMAGE_PREFIX, MARKER, OURS, STAGING_PREFIX, sweep, workspace


def test_nothing_is_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with workspace(tmp_path, out) as places:
        (places.build_dir / "file").write_text("x")
        assert places.staging_dir.parent == out
        assert places.top.name.startswith("dib_build.")
        assert places.build_dir.parent == places.top
        assert places.image_dir.name.startswith("dib_image.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert list(out.iterdir()) == []


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with workspace(tmp_path, tmp_path):
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_while_directories_are_removed_is_heeded_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                   number: signal.Signals) -> None:
    heard = []
    remove = workspace_module.remove

    def removing(path: Path) -> None:
        os.kill(os.getpid(), number)
        assert heard == []
        remove(path)

    monkeypatch.setattr(workspace_module, "remove", removing)
    before = signal.signal(number, lambda *_: heard.append(list(tmp_path.iterdir())))
    try:
        with workspace(tmp_path, tmp_path) as places:
            (places.build_dir / "file").touch()
    finally:
        signal.signal(number, before)
    assert heard == [[]]


def test_an_output_directory_that_is_missing_is_told_before_the_build(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be written"):
        with workspace(tmp_path, tmp_path / "missing"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_directory_that_is_missing_names_tmpdir(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="TMPDIR"):
        with workspace(tmp_path / "missing", tmp_path):
            pass


def abandoned(tmp_path: Path, *others: Path) -> Path:
    build = tmp_path / (BUILD_PREFIX + OURS + "killed")
    build.mkdir()
    (build / MARKER).write_text(json.dumps({"directories": [str(path) for path in others]}))
    return build


@pytest.mark.contract("C-285")
def test_what_a_killed_build_left_goes_with_the_next_one(tmp_path: Path) -> None:
    image, staging = tmp_path / (IMAGE_PREFIX + "a"), tmp_path / (STAGING_PREFIX + "b")
    for path in (image, staging):
        path.mkdir()
        (path / "half-written").write_text("x")
    build = abandoned(tmp_path, image, staging)
    assert sweep(tmp_path) == [build]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.contract("C-289")
def test_a_running_build_is_not_touched(tmp_path: Path) -> None:
    with workspace(tmp_path, tmp_path) as places:
        assert sweep(tmp_path) == []
        assert places.build_dir.is_dir()


def test_a_directory_of_another_program_is_not_touched(tmp_path: Path) -> None:
    for name in ("not-ours", OURS + "in-use"):
        other = tmp_path / (BUILD_PREFIX + name)
        other.mkdir()
        (other / "file").touch()
        assert sweep(tmp_path) == []
        assert other.is_dir()


def test_a_build_that_was_killed_right_at_its_start_left_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / (BUILD_PREFIX + OURS + "empty")).mkdir()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_when_something_cannot_be_removed_the_marker_stays_for_the_next_time(tmp_path: Path, monkeypatch) -> None:
    image = tmp_path / (IMAGE_PREFIX + "a")
    image.mkdir()
    build = abandoned(tmp_path, image)
    with monkeypatch.context() as patched:
        patched.setattr(workspace_module, "PATIENCE", ())
        patched.setattr(workspace_module, "remove_tree", lambda path: False)
        assert sweep(tmp_path) == []
    assert (build / MARKER).is_file()
    assert sweep(tmp_path) == [build]
    assert list(tmp_path.iterdir()) == []


def test_a_forged_marker_cannot_name_other_directories(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    abandoned(tmp_path, precious, Path("/etc"))
    sweep(tmp_path)
    assert precious.is_dir()
    assert os.path.isdir("/etc")
