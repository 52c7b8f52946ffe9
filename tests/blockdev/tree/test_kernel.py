"""Filesystems filled by a user-mode Linux; that trees arrive whole is in test_equal_trees.py."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pydib.blockdev.filesystem import mkfs_command
from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.tree.kernel import PROGRAM, fill_by_kernel, sockets
from pydib.errors import BlockDeviceError
from pydib.host.command import find_tool, run
from pydib.host.mount import mounts_below
from pydib.sizes import MIB

NODE = Mkfs(name="mkfs_root", base="root", type="xfs", label="top")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    for tool in (PROGRAM, "mkfs.xfs"):
        if not find_tool(tool):
            pytest.skip(f"{tool} is not installed")
    path = tmp_path / "filesystem"
    with path.open("wb") as file:
        file.truncate(320 * MIB)
    run(*mkfs_command(NODE, str(path), ()))
    return path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_sockets_are_listed_with_exact_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("run/it's")
    os.utime("run/it's", ns=(0, 5_000_000_001))
    os.utime("run", ns=(0, -1))
    assert list(sockets(tmp_path)) == [("./run/it's", "5.000000001", "-0.000000001")]


@pytest.mark.machine
def test_a_tree_that_does_not_fit_is_told_with_what_to_do(image: Path, work: Path, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(os.urandom(330 * MIB))
    with pytest.raises(BlockDeviceError, match="does not fit into the filesystem mkfs_root") as caught:
        fill_by_kernel(NODE, image, tmp_path / "tree", work)
    assert "--image-size" in caught.value.hint
    assert list(work.iterdir()) == []
    assert mounts_below(tmp_path) == ()


@pytest.mark.machine
def test_a_filesystem_that_this_kernel_refuses_is_told_in_its_words(image: Path, work: Path, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with image.open("r+b") as file:
        file.write(bytes(MIB))
    with pytest.raises(BlockDeviceError, match="could not fill the xfs filesystem mkfs_root") as caught:
        fill_by_kernel(NODE, image, tmp_path / "tree", work)
    assert "mount: " in str(caught.value)
    assert "--assemble device" in caught.value.hint
    assert list(work.iterdir()) == []


def test_a_folder_that_a_kernel_s_command_line_cannot_hold_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    folder.mkdir()
    with pytest.raises(BlockDeviceError, match="command line cannot hold") as caught:
        fill_by_kernel(NODE, tmp_path / "filesystem", tmp_path, folder)
    assert "TMPDIR" in caught.value.hint
