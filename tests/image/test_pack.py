"""Archives of a tree, opened again with their own tools."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from pydib.errors import ImageError
from pydib.host.command import run
from pydib.image.pack import pack


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for folder in ("etc", "dev", "proc", "sys", "lost+found"):
        (root / folder).mkdir(parents=True)
    (root / "etc/name").write_text("tiny\n")
    (root / ".hidden").write_text("kept\n")
    (root / "dev/null").write_text("the host's\n")
    (root / "proc/cpuinfo").write_text("the kernel's\n")
    os.symlink("./etc/name", root / "link")
    os.link(root / "etc/name", root / "hard")
    return root


EXPECTED = {".hidden", "dev", "etc", "etc/name", "hard", "link", "proc", "sys"}


@pytest.mark.parametrize("kind", ["tar", "tgz"])
def test_a_tar_holds_hidden_files_and_nothing_of_the_host(tree: Path, tmp_path: Path, kind: str) -> None:
    pack(tree, tmp_path / "out", kind=kind)
    with tarfile.open(tmp_path / "out", "r:gz" if kind == "tgz" else "r:") as archive:
        names = {member.name.removeprefix("./") for member in archive.getmembers()} - {"."}
        assert names == EXPECTED
        hard = {member.name for member in archive.getmembers() if member.islnk()}
        assert len(hard) == 1


def test_a_squashfs_holds_hidden_files_and_nothing_of_the_host(tree: Path, tmp_path: Path) -> None:
    if shutil.which("unsquashfs") is None:
        pytest.skip("unsquashfs is not installed")
    pack(tree, tmp_path / "out", kind="squashfs")
    listed = run("unsquashfs", "-lls", tmp_path / "out").splitlines()
    names = {line.split("squashfs-root/", 1)[1].split(" ->")[0] for line in listed if "squashfs-root/" in line}
    assert names == EXPECTED


@pytest.mark.contract("C-234")
def test_an_aci_holds_the_tree_below_rootfs_and_its_manifest(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{}")
    pack(tree, tmp_path / "out", kind="aci", manifest=tmp_path / "m.json")
    with tarfile.open(tmp_path / "out", "r:") as archive:
        names = {member.name for member in archive.getmembers()}
        assert names == {"rootfs", "manifest"} | {f"rootfs/{name}" for name in EXPECTED}
        assert archive.getmember("rootfs/link").linkname == "./etc/name"
        assert {member.linkname.partition("/")[0] for member in archive.getmembers() if member.islnk()} == {"rootfs"}


def test_a_manifest_that_went_away_is_told(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="the image manifest cannot be read"):
        pack(tree, tmp_path / "out", kind="aci", manifest=tmp_path / "gone")


def test_a_compressor_with_options_is_used_and_its_failure_told(tree: Path, tmp_path: Path) -> None:
    pack(tree, tmp_path / "out", kind="tgz", gzip="gzip -n")
    with pytest.raises(ImageError, match="the tgz output could not be made"):
        pack(tree, tmp_path / "out", kind="tgz", gzip="false")
