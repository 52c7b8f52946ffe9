"""ext filesystems from a tree: the command, and what is put right after it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.table import Extent
from pydib.blockdev.tree import ext
from pydib.blockdev.tree.ext import corrections, ext_command, make_ext
from pydib.errors import BlockDeviceError, CommandFailed
from pydib.host.command import run
from pydib.sizes import MIB

NODE = Mkfs(name="mkfs_root", base="root", type="ext4", label="top", uuid="7d1b5b7c-0000-4000-8000-000000000001")
AT_9_MIB = Extent(offset_bytes=9 * MIB, size_bytes=20 * MIB)


@pytest.mark.parametrize(("options", "extent", "words"), [
    (("-i", "4096", "-m", "1"), AT_9_MIB, ("-i", "4096", "-m", "1", "-E", f"offset={9 * MIB}")),
    (("-E", "resize=9"), AT_9_MIB, ("-E", f"resize=9,offset={9 * MIB}")),
    (("-Estride=2", "-O", "^64bit", "-E", "resize=9"), AT_9_MIB, ("-O", "^64bit", "-E", f"resize=9,offset={9 * MIB}")),
    (("-E", "resize=9"), Extent(offset_bytes=0, size_bytes=20 * MIB), ("-E", "resize=9")),
    ((), Extent(offset_bytes=0, size_bytes=20 * MIB), ()),
])
def test_the_command_is_that_of_device_mode_with_its_place(
        options: tuple[str, ...], extent: Extent, words: tuple[str, ...]) -> None:
    assert ext_command(NODE, Path("disk.raw"), extent, options, Path("/tree")) == (
        "mkfs.ext4", "-d", "/tree", *words, "-L", "top", "-U", NODE.uuid, "-q", "disk.raw", "20480k")


def test_times_have_nanoseconds_and_an_epoch_where_they_need_them(tmp_path: Path) -> None:
    (tmp_path / 'a "b').write_text("")
    (tmp_path / "line\nbreak").write_text("")
    (tmp_path / "whole").write_text("")
    os.utime(tmp_path / 'a "b', ns=(10**18, (2**32 - 2**31) * 10**9 + 3))
    os.utime(tmp_path / "whole", ns=(10**18, -5 * 10**9))
    os.utime(tmp_path, ns=(10**18, 10**18))
    tmp_path.chmod(0o2751)
    os.chown(tmp_path, os.getuid(), os.getgid())
    assert list(corrections(tmp_path)) == [
        "sif / mode 042751", f"sif / uid {os.getuid()}", f"sif / gid {os.getgid()}",
        "sif / atime @1000000000", "sif / mtime @1000000000", 'sif "/a ""b" mtime_extra 0xd']
    assert len(list(corrections(tmp_path, nanoseconds=False))) == 5


def test_nothing_was_changed_after_the_moment(tmp_path: Path) -> None:
    for name, seconds in (("before", 10**9 - 1), ("after", 10**9 + 7), ("late", 2**31)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, ns=(5, seconds * 10**9 + 3))
    lines = list(corrections(tmp_path, moment=10**9))
    assert "sif / mtime @1000000000" in lines
    assert {'sif "/late" mtime @1000000000', 'sif "/before" mtime_extra 0xc'} <= set(lines)
    assert not [line for line in lines if "atime" in line or "/after" in line]  # `after` has it in the inode tables


@pytest.mark.machine
def test_a_filesystem_made_for_a_moment_is_the_same_again(tmp_path: Path) -> None:
    made = []
    for order in (("a", "b", "line\nbreak"), ("line\nbreak", "b", "a")):
        tree, image = tmp_path / f"tree{len(made)}", tmp_path / f"disk{len(made)}.raw"
        tree.mkdir(mode=0o755)
        for name in order:
            (tree / name).write_text(name)
        os.truncate(os.open(image, os.O_CREAT | os.O_WRONLY), 40 * MIB)
        node = replace(NODE, hash_seed="7d1b5b7c-0000-4000-8000-000000000002")
        make_ext(node, image, AT_9_MIB, ["-i", "4096"], tree, moment=10**9)
        made.append(image.read_bytes())
    assert made[0] == made[1]
    image = tmp_path / "disk0.raw"
    told = run("debugfs", "-R", "stat <12>", f"{image}?offset={9 * MIB}")
    assert re.findall(r"time: 0x(\w+):", told) == [f"{10**9:08x}"] * 4
    assert run("e2fsck", "-fn", f"{image}?offset={9 * MIB}")


def test_times_that_cannot_be_set_are_one_message(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    for told in ("dumpe2fs of another language", run_of_dumpe2fs(tmp_path)):
        with pytest.raises(BlockDeviceError, match="the filesystem mkfs_root could not be given its times") as caught:
            ext._normalise(NODE, image, AT_9_MIB, told, 5)
        assert "--assemble device" in caught.value.hint


def run_of_dumpe2fs(place: Path) -> str:
    """What it says of a filesystem whose file is not there any more."""
    with (place / "other.raw").open("wb") as file:
        file.truncate(40 * MIB)
    make_ext(NODE, place / "other.raw", AT_9_MIB, [], None)
    return run("dumpe2fs", f"{place}/other.raw?offset={9 * MIB}")


def test_what_debugfs_does_not_do_is_an_error_although_it_ends_well(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(40 * MIB)
    make_ext(NODE, image, AT_9_MIB, ["-i", "4096"], None)
    ext._correct(NODE, f"{image}?offset={9 * MIB}", ["sif / mode 040700"])
    with pytest.raises(BlockDeviceError, match="could not finish the filesystem mkfs_root: /none: File not found"):
        ext._correct(NODE, f"{image}?offset={9 * MIB}", ["sif /none mode 040700"])
    with pytest.raises(BlockDeviceError, match="trying to open"):
        ext._correct(NODE, f"{tmp_path}/none?offset={9 * MIB}", ["sif / mode 040700"])


@pytest.mark.machine
def test_a_tree_that_does_not_fit_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(os.urandom(30 * MIB))
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(40 * MIB)
    with pytest.raises(BlockDeviceError, match="does not fit into the filesystem mkfs_root") as caught:
        make_ext(NODE, image, AT_9_MIB, ["-i", "4096"], tmp_path / "tree")
    assert "--image-size" in caught.value.hint


def test_what_mke2fs_refuses_is_its_own_message(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(MIB))
    with pytest.raises(CommandFailed, match="no-such-feature"):
        make_ext(NODE, image, Extent(offset_bytes=0, size_bytes=MIB), ["-O", "no-such-feature"], None)


def test_what_lies_around_the_filesystem_stays(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"x" * 40 * MIB)
    make_ext(NODE, image, AT_9_MIB, ["-i", "4096"], None)
    data = image.read_bytes()
    assert data[:9 * MIB] == b"x" * 9 * MIB
    assert data[29 * MIB:] == b"x" * 11 * MIB
    assert "7d1b5b7c" in run("blkid", "--probe", "--offset", str(9 * MIB), image)
