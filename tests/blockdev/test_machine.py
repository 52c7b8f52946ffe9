"""What a machine lacks is said before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import blockdev
from pydib.blockdev import machine
from pydib.errors import ToolMissing
from pydib.host import command

FIXTURES = Path(__file__).parents[2] / "fixtures" / "blockdev"
ROOT = "- local_loop: {{name: image0, mkfs: {{name: mkfs_root, type: {}, mount: {{mount_point: /}}}}}}\n"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel that knows `filesystems`; with `modules` it can load more."""
    def make(*filesystems, modules=False):
        (tmp_path / "filesystems").write_text("nodev\tproc\n" + "".join(f"\t{name}\n" for name in filesystems))
        monkeypatch.setattr(machine, "FILESYSTEMS", tmp_path / "filesystems")
        monkeypatch.setattr(machine, "MODULES", tmp_path / ("filesystems" if modules else "none"))
    return make


def test_a_missing_tool_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(command, "find_tool", lambda name: None)
    with pytest.raises(ToolMissing, match=r"mkfs\.btrfs is not installed") as caught:
        blockdev.check_machine(blockdev.load(ROOT.format("btrfs")), devices=False)
    assert "btrfs-progs" in caught.value.hint


def test_a_filesystem_that_the_kernel_knows_can_be_mounted(kernel):
    kernel("ext4", "vfat")
    assert machine.can_mount("ext4") and machine.can_mount("fat")


def test_a_kernel_without_modules_cannot_learn_more(kernel):
    kernel("ext4")
    assert not machine.can_mount("xfs")


def test_a_kernel_with_modules_is_asked_through_modprobe(kernel, monkeypatch, tmp_path):
    kernel("ext4", modules=True)
    monkeypatch.setattr(machine, "_has_module", lambda fs_type: fs_type == "xfs")
    assert machine.can_mount("xfs") and not machine.can_mount("zfs")


def test_without_devices_only_tools_are_looked_for(monkeypatch):
    monkeypatch.setattr(machine, "require_tool", lambda name, why="": name)
    monkeypatch.setattr(machine, "check_loop_devices", lambda: pytest.fail("asked for loop devices"))
    blockdev.check_machine(blockdev.load((FIXTURES / "lvm.yaml").read_text()), devices=False)


def test_a_filesystem_that_cannot_be_mounted_is_named(kernel, monkeypatch):
    kernel("ext4")
    monkeypatch.setattr(machine, "require_tool", lambda name, why="": name)
    monkeypatch.setattr(machine, "check_loop_devices", lambda: None)
    with pytest.raises(ToolMissing, match="cannot mount xfs") as caught:
        blockdev.check_machine(blockdev.load(ROOT.format("xfs")))
    assert "module for xfs" in caught.value.hint
