"""`$DIB_PYTHON_EXEC $_LIB/dib-block-device.py` (C-207 to C-209), as scripts call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lib.conftest import LIB

CONFIG = """
- local_loop:
    name: image0
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: root
        flags: [boot, primary]
        size: 80%
        mkfs: {name: mkfs_root, mount: {mount_point: /, fstab: {options: defaults, fsck-passno: 1}}}
      - name: swap
        flags: [primary]
        size: 100%
        mkfs: {name: swap0, type: swap, mount: {mount_point: swap, fstab: {options: sw}}}
"""
BEFORE = ("root-label", "root-fstype", "boot-label", "mount-points")


class Disk:
    """Parameters in a folder, and the command on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "build/built/etc").mkdir(parents=True)
        self.params = folder / "params.yaml"
        self.params.write_text(
            f"config: {folder}/config.yaml\nimage-dir: {folder}/images\nroot-fs-type: ext4\nroot-label: mine\n"
            f"mount-base: {folder}/mnt\nbuild-dir: {folder}/build\nimage-size: 65536KiB\nroot-fs-opts: -J size=4\n")

    def run(self, *arguments: str, python: str = sys.executable, lib: Path = LIB,
            **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command; the parameters come by the environment."""
        return subprocess.run([python, str(lib / "dib-block-device.py"), *arguments], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], "DIB_BLOCK_DEVICE_PARAMS_YAML": str(self.params), **env},
                              check=False)

    def get(self, symbol: str) -> str:
        """An answer without its line end."""
        done = self.run("getval", symbol)
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    def in_kernel(self) -> list[str]:
        """Mounts and loop devices of this folder."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        loops = subprocess.run(["losetup", "--all"], capture_output=True, text=True).stdout.splitlines()
        return [line for line in (*mounts, *loops) if str(self.folder) in line]


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path)
    yield made
    if made.in_kernel():
        made.run("delete")
    assert made.in_kernel() == []


@pytest.mark.contract("C-207", "C-208")
def test_answers_before_create_are_those_of_dib(disk, oracle_lib):
    python = str(oracle_lib.parents[4] / "bin/python")
    expected = ["mine\n", "ext4\n", "\n", "/|swap\n"]
    assert [disk.run("getval", symbol).stdout for symbol in BEFORE] == expected
    assert disk.run("init").returncode == 0
    assert [disk.run("getval", symbol).stdout for symbol in BEFORE] == expected
    assert [disk.run("getval", symbol, python=python, lib=oracle_lib).stdout for symbol in BEFORE] == expected


@pytest.mark.contract("C-207", verdict="bettered", note="one message, no traceback; no command is wrong usage")
@pytest.mark.parametrize(("arguments", "code"), [
    (["getval", "nonsense"], 1), (["getval", "image-path"], 1), (["cleanup"], 1), (["delete"], 1), (["writefstab"], 1),
    (["umount"], 0), (["frobnicate"], 2), ([], 2), (["getval"], 2), (["--params", "/nonexistent", "init"], 1)])
def test_without_a_disk_the_codes_are_those_of_dib(arguments, code, disk):
    done = disk.run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_without_parameters_it_says_how_to_give_them(disk):
    done = disk.run("init", DIB_BLOCK_DEVICE_PARAMS_YAML="")
    assert done.returncode == 1
    assert "--params FILE" in done.stderr


def test_a_wrong_configuration_is_named_with_its_line(disk):
    (disk.folder / "config.yaml").write_text("- local_loop: {name: image0}\n- mkfs: {name: x, base: nowhere}\n")
    done = disk.run("init")
    assert done.returncode == 1
    assert f"{disk.folder}/config.yaml, line 2" in done.stderr


@pytest.mark.machine
@pytest.mark.contract("C-207", "C-208", "C-209", "C-215", "C-221", "C-222", "C-223")
def test_a_script_makes_a_disk_of_its_own_and_takes_it_down(disk):
    assert disk.run("init").returncode == 0
    done = disk.run("create")
    assert done.returncode == 0, done.stderr
    device = disk.get("image-block-device")
    assert device.startswith("/dev/loop")
    assert disk.get("image-path") == f"{disk.folder}/images/image0.raw"
    assert disk.get("image-block-devices").startswith(f" [image0]={device}  [root]=/dev/")
    assert disk.get("nonsense") == ""
    assert (disk.folder / "mnt/lost+found").is_dir()
    (disk.folder / "mnt/file").write_text("on the disk")
    assert disk.run("writefstab").returncode == 0
    assert (disk.folder / "build/built/etc/fstab").read_text() == \
        "LABEL=mine / ext4 defaults 0 1\nLABEL=swap0 none swap sw 0 0\n"
    assert "there is a disk already" in disk.run("create").stderr
    for _ in range(2):
        assert disk.run("umount").returncode == 0
        assert disk.in_kernel() == []
    assert disk.run("cleanup").returncode == 0
    assert list((disk.folder / "build/states/block-device").iterdir()) == []
    assert (disk.folder / "images/image0.raw").stat().st_size == 64 << 20


@pytest.mark.machine
@pytest.mark.contract("C-207", "C-287", verdict="bettered", note="detaches the loop devices too")
def test_delete_removes_the_disk_with_its_file(disk):
    assert disk.run("create").returncode == 0
    assert disk.run("delete").returncode == 0
    assert disk.in_kernel() == []
    assert list((disk.folder / "images").iterdir()) == []


@pytest.mark.machine
@pytest.mark.contract("C-223", "C-287", verdict="bettered", note="a failed create gives everything back")
def test_a_create_that_fails_leaves_nothing(disk):
    disk.params.write_text(disk.params.read_text().replace("-J size=4", "-J size=40960"))
    done = disk.run("create")
    assert done.returncode == 1
    assert "mkfs.ext4" in done.stderr
    assert disk.in_kernel() == []
    assert list((disk.folder / "images").iterdir()) == []
    assert disk.run("umount").returncode == 0


def test_the_disk_of_a_build_is_left_to_the_build(disk):
    place = disk.folder / "build/states/block-device"
    place.mkdir(parents=True)
    devices = {"image0": {"device": "/dev/loop9", "image": "/i"}}
    (place / "state.json").write_text(json.dumps({"made_by": "build", "blockdev": devices}))
    for command in ("umount", "cleanup", "delete"):
        done = disk.run(command)
        assert done.returncode == 1
        assert "belongs to the running build" in done.stderr
    assert disk.get("image-block-device") == "/dev/loop9"
