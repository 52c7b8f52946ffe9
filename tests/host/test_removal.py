"""Folders that are removed, with whatever is in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pydib.host.removal import remove_tree


def test_a_folder_goes_with_what_is_in_it_but_not_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "gone/folder").mkdir(parents=True)
    (tmp_path / "gone/folder/link").symlink_to(tmp_path / "kept")
    assert remove_tree(tmp_path / "gone")
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_a_folder_with_more_levels_than_descriptors_goes_too(tmp_path: Path) -> None:
    top = tmp_path / "gone"
    top.mkdir()
    nest = 'cd "$1"; p=$(printf "d/%.0s" {1..800}); for i in 1 2 3; do mkdir -p "$p"; cd "$p"; done'
    subprocess.run(["bash", "-euc", nest, "bash", top], check=True)
    assert remove_tree(top)
    assert os.listdir(tmp_path) == []
