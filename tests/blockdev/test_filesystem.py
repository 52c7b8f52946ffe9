"""The command that makes a filesystem, and the options of the root filesystem."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pydib.blockdev.filesystem import RootDefaults, journal_mib, mkfs_command, mkfs_options, root_options
from pydib.blockdev.nodes import Mkfs
from pydib.sizes import MIB


def node(fs_type, **more):
    return Mkfs(name="fs", base="b", type=fs_type, label="L", **more)


@pytest.mark.parametrize(("fs_type", "words"), [
    ("ext4", "mkfs.ext4 -O x -L L -U 1-2 -q /dev/d"),
    ("ext2", "mkfs.ext2 -O x -L L -U 1-2 -q /dev/d"),
    ("xfs", "mkfs.xfs -O x -L L -m uuid=1-2 -q /dev/d"),
    ("btrfs", "mkfs.btrfs -O x -L L -U 1-2 -q /dev/d"),
    ("vfat", "mkfs.vfat -O x -n L -i 12 /dev/d"),
    ("swap", "mkswap -O x -L L -U 1-2 /dev/d"),
    ("f2fs", "mkfs.f2fs -O x -L L /dev/d"),
])
def test_each_tool_gets_label_and_uuid_its_own_way(fs_type, words):
    assert " ".join(mkfs_command(node(fs_type, uuid="1-2"), "/dev/d", ["-O", "x"])) == words


def test_no_uuid_leaves_it_to_the_tool():
    assert mkfs_command(node("ext4"), "/dev/d", []) == ("mkfs.ext4", "-L", "L", "-q", "/dev/d")


def test_root_options_of_ext4_come_before_the_users():
    root = RootDefaults(options=("-m", "1"), max_online_resize="1000", metadata_csum=False)
    assert root_options("ext4", root, 4096 * MIB) == (
        "-i", "4096", "-J", "size=64", "-O", "^metadata_csum", "-E", "resize=1000", "-m", "1")


def test_other_root_filesystems_get_the_users_options_only():
    root = RootDefaults(options=("-i", "size=512"), max_online_resize="9")
    assert root_options("xfs", root, MIB) == ("-i", "size=512")


def test_options_of_the_configuration_replace_the_engines():
    assert mkfs_options(node("ext4", options=("-m", "0")), RootDefaults(options=("-m", "9")), MIB) == ("-m", "0")


@pytest.mark.parametrize(("size_mib", "journal"), [(2048, 64), (143, 64), (142, 32), (70, 16), (20, 8), (9, 4), (8, 0)])
@pytest.mark.contract("C-226", verdict="bettered", note="the journal shrinks with the filesystem")
def test_journal_is_halved_until_it_fits(size_mib, journal):
    assert journal_mib(RootDefaults(), size_mib * MIB) == journal


def test_a_journal_that_was_asked_for_is_kept():
    assert journal_mib(RootDefaults(journal_mib=128), 64 * MIB) == 128


@pytest.mark.parametrize("size_mib", [2, 8, 9, 18, 36, 72, 143, 300])
def test_mke2fs_takes_the_journal_that_was_chosen(size_mib, tmp_path):
    tool = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    if not tool:
        pytest.skip("mkfs.ext4 is not installed")
    image = tmp_path / "fs"
    with image.open("wb") as file:
        file.truncate(size_mib * MIB)
    options = root_options("ext4", RootDefaults(), size_mib * MIB)
    command = mkfs_command(node("ext4"), str(image), options)
    done = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
