"""What the benchmarks of outputs measure is made: each way gives an output that holds the tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.cases import FORMATS, fill
from benchmarks.peers import packages_of

ROOT = Path(__file__).resolve().parents[2]
FILES = 120
WAYS = [("tree", kind) for kind in ("qcow2", *FORMATS)] + [("dib", kind) for kind in ("qcow2", *FORMATS)] + [
    ("device", "qcow2"), ("tools", "raw"), ("tools", "qcow2")]


def names_on(disk: Path, folder: str, raw: Path) -> str:
    """What debugfs lists of a folder of the second partition."""
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    return subprocess.run(["debugfs", "-R", f"ls -p {folder}", f"{raw}?offset={9 << 20}"], check=True, text=True,
                          capture_output=True).stdout


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not kept: disks lie there."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        yield Path(folder)


@pytest.mark.machine
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: DIB's way and device mode attach and mount a loop device")
@pytest.mark.parametrize(("mode", "kind"), WAYS)
def test_each_way_makes_an_output_with_the_tree(place: Path, mode: str, kind: str) -> None:
    tree, out = place / "tree", place / "out"
    out.mkdir()
    fill(tree, FILES, 3000)
    (tree / "large").write_bytes(bytes(150 << 20))  # the disk, larger by it, has room for the journal
    subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks.assembly", mode,
                    kind, str(tree), str(out)], check=True, cwd=ROOT)
    made = out / f"image0.{kind}"
    if kind in ("tar", "tgz"):
        told = subprocess.run(["tar", "--list", "--file", made], check=True, text=True, capture_output=True).stdout
    elif kind == "squashfs":
        told = subprocess.run(["unsquashfs", "-l", made], check=True, text=True, capture_output=True).stdout
    else:
        told = names_on(made, "/folder-0001", out / "again.raw")
        if kind in ("qcow2", "zlib"):
            subprocess.run(["qemu-img", "check", "-q", made], check=True)
    assert "file-19" in told
    assert "file-20" not in told or kind in ("tar", "tgz", "squashfs")
    assert not subprocess.run(["losetup", "--associated", out / "image0.raw"], check=True, text=True,
                              capture_output=True).stdout


def test_packages_are_read_beside_the_image(tmp_path: Path) -> None:
    folder = tmp_path / "disk.d" / "dib-manifests"
    folder.mkdir(parents=True)
    entries = [{"package": "bash", "version": "5"}, {"package": "libc6:amd64", "version": "2"}]
    (folder / "dib-manifest-dpkg-disk").write_text(json.dumps({"packages": entries}))
    assert packages_of(tmp_path / "disk") == ["bash", "libc6:amd64"]
