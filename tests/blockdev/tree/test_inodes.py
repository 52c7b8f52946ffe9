"""Times in inode tables, beside those that debugfs sets."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from pydib.blockdev.tree.inodes import Told, forget_written, read_told, set_times
from pydib.host.command import run
from pydib.sizes import MIB

MOMENT = 10**9
OFFSET = MIB
FEATURES = pytest.mark.parametrize("options", [
    ["-t", "ext4"], ["-t", "ext4", "-O", "^metadata_csum"], ["-t", "ext4", "-I", "128"], ["-t", "ext3"], ["-t", "ext2"],
    ["-t", "ext4", "-O", "metadata_csum_seed"], ["-t", "ext4", "-b", "1024", "-g", "1024", "-N", "4096"],
    ["-t", "ext4", "-O", "^64bit,^flex_bg"],
], ids=" ".join)


def filesystem(place: Path, options: list[str]) -> Path:
    """A filesystem with files that were changed before and after the moment, and after 2038."""
    tree, image = place / "tree", place / "disk.raw"
    tree.mkdir()
    for number in range(300):
        (tree / f"{number}").write_text("x" * number)
        os.utime(tree / f"{number}", (5, MOMENT - 150 + number))
    os.utime(tree / "7", (5, 2**31 + 9))
    (tree / "link").symlink_to("7")
    image.write_bytes(b"x" * 40 * MIB)
    run("mke2fs", "-q", "-F", "-d", tree, "-E", f"offset={OFFSET}", *options, image, "20M")
    return image


@FEATURES
def test_they_are_those_of_debugfs_bit_for_bit(tmp_path: Path, options: list[str]) -> None:
    ours = filesystem(tmp_path, options)
    theirs = shutil.copy(ours, tmp_path / "theirs.raw")
    told = read_told(run("dumpe2fs", f"{ours}?offset={OFFSET}"))
    set_times(ours, OFFSET, told, MOMENT)
    lines = [f"sif <{number}> {field} @{MOMENT}" for stretch in told.used() for number in stretch
             for field in ("atime", "ctime") if number == 2 or number > 10]
    lines += [f"sif /{name} mtime @{MOMENT}" for name in ("", "link", "lost+found", *range(151, 300))]
    for image, commands in ((ours, []), (theirs, lines)):
        text = "\n".join([*commands, "ssv kbytes_written 0"]) + "\n"
        subprocess.run(["debugfs", "-w", "-f", "-", f"{image}?offset={OFFSET}"], input=text, text=True, check=True,
                       capture_output=True, env={**os.environ, "E2FSPROGS_FAKE_TIME": f"{MOMENT}"})
    assert ours.read_bytes() == Path(theirs).read_bytes()
    assert run("e2fsck", "-fn", f"{ours}?offset={OFFSET}")


@FEATURES
def test_no_copy_of_the_superblock_tells_how_much_was_written(tmp_path: Path, options: list[str]) -> None:
    small = [*options, *([] if "-b" in options else ["-b", "1024", "-g", "2048"])]
    image = filesystem(tmp_path, small)
    found = f"{image}?offset={OFFSET}"
    told = read_told(run("dumpe2fs", found))
    before = image.read_bytes()
    forget_written(image, OFFSET, told)
    after = image.read_bytes()
    places = [OFFSET + block * told.block_bytes for block in told.copies]
    assert len(places) > 2
    for place, block in zip(places, told.copies, strict=True):
        assert before[place + 0x38:place + 0x3A] == b"\x53\xef", "a superblock is there"
        assert any(before[place + 0x178:place + 0x180]) is ("ext4" in options), "only an ext4 counts"
        assert not any(after[place + 0x178:place + 0x180])
        assert run("dumpe2fs", "-h", "-o", f"superblock={block}", "-o", f"blocksize={told.block_bytes}", found)
    assert sum(one != other for one, other in zip(before, after, strict=True)) <= 12 * len(places)
    assert run("e2fsck", "-fn", found)


def test_a_time_after_2038_is_left_to_whoever_knows_both_its_words(tmp_path: Path) -> None:
    image = filesystem(tmp_path, ["-t", "ext4"])
    found = f"{image}?offset={OFFSET}"
    before = run("debugfs", "-R", "stat /7", found)
    set_times(image, OFFSET, read_told(run("dumpe2fs", found)), MOMENT)
    after = run("debugfs", "-R", "stat /7", found)
    times = [[line for line in text.splitlines() if "mtime" in line] for text in (before, after)]
    assert times[0] == times[1]
    assert f"atime: 0x{MOMENT:08x}" in after


def test_the_filesystems_own_inodes_and_free_ones_stay(tmp_path: Path) -> None:
    image = filesystem(tmp_path, ["-t", "ext4"])
    told = read_told(run("dumpe2fs", f"{image}?offset={OFFSET}"))
    before = image.read_bytes()
    set_times(image, OFFSET, told, MOMENT)
    after = image.read_bytes()
    used = {number for stretch in told.used() for number in stretch}
    start = OFFSET + told.tables[0] * told.block_bytes
    for number in range(1, told.inodes_in_group + 1):
        place = start + (number - 1) * told.inode_bytes
        same = before[place:place + told.inode_bytes] == after[place:place + told.inode_bytes]
        assert same is (number not in used or (number < 11 and number != 2)), number
    assert struct.unpack_from("<I", after, start + told.inode_bytes + 8) == (MOMENT,)


def test_used_inodes_are_those_between_the_free_ones() -> None:
    told = Told(block_bytes=1024, inode_bytes=128, inodes_in_group=24, count=24, tables=(5,), copies=(), seed=None,
                free=((18, 24), (13, 14), (16, 16)))
    assert [number for stretch in told.used() for number in stretch] == [*range(1, 13), 15, 17]
