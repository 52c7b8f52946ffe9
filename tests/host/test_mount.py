"""Mounts: found in mountinfo with their odd names, made, and undone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pydib.errors import BlockDeviceError, CommandFailed
from pydib.host import mount as mounts
from pydib.host.mount import MountPoint, detach, mounted, mounts_below, parse_mountinfo, unmount, unmount_below

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 8:1 / /build/mnt rw shared:3 master:1 - ext4 /dev/loop0p1 rw
41 40 0:30 / /build/mnt/with\040blank\134and\011tab rw - tmpfs a\040name rw,size=4k
42 40 0:31 / /build/mnt/gr\303\274n rw - tmpfs - rw
43 27 0:32 / /build/mnt2 rw - tmpfs none rw
broken line
"""


def test_mountinfo_is_read_with_its_escapes():
    found = parse_mountinfo(MOUNTINFO)
    assert found[1] == MountPoint(target=Path("/build/mnt"), fstype="ext4", source="/dev/loop0p1")
    assert found[2].target == Path("/build/mnt/with blank\\and\ttab")
    assert found[2].source == "a name"
    assert len(found) == 5


def test_names_in_utf_8_stay_whole():
    assert parse_mountinfo(MOUNTINFO)[3].target == Path("/build/mnt/grün")
    assert parse_mountinfo(MOUNTINFO.replace(r"\303\274", "ü"))[3].target == Path("/build/mnt/grün")


def test_below_is_a_matter_of_directories_not_of_letters(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    assert [found.target.name for found in mounts_below(Path("/build/mnt"))] == [
        "mnt", "with blank\\and\ttab", "grün"]
    assert len(mounts_below(Path("/build/mnt"), itself=False)) == 2


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "a place with blanks"
    directory.mkdir()
    yield directory
    left = mounts_below(tmp_path)
    unmount_below(tmp_path)
    assert not left


@pytest.mark.machine
def test_mounted_for_as_long_as_the_block_lasts(place):
    with mounted("scratch", place, fstype="tmpfs", options="size=1m"):
        assert [(found.target, found.fstype, found.source) for found in mounts_below(place)] == [
            (place, "tmpfs", "scratch")]
    assert mounts_below(place) == ()


@pytest.mark.machine
def test_a_bind_mount_may_begin_with_a_hyphen(place):
    source = place / "-source"
    source.mkdir()
    (source / "file").touch()
    target = place / "target"
    target.mkdir()
    with mounted(source, target, options="bind"):
        assert (target / "file").exists()


@pytest.mark.machine
def test_a_mount_that_fails_says_why(place):
    with pytest.raises(CommandFailed, match="does not exist"), mounted("/no/device", place):
        pass


@pytest.mark.machine
def test_a_failing_block_is_detached_even_when_busy(place):
    with pytest.raises(RuntimeError), mounted("scratch", place, fstype="tmpfs"):
        held = (place / "file").open("w")
        raise RuntimeError
    assert mounts_below(place) == ()
    held.close()


@pytest.mark.machine
def test_who_keeps_a_mount_busy_is_named_and_it_is_detached(place, monkeypatch):
    monkeypatch.setattr(mounts, "PATIENCE", (0.01,))
    mounts.mount("scratch", place, fstype="tmpfs")
    sleeper = subprocess.Popen(["sleep", "60"], cwd=place)
    try:
        with pytest.raises(BlockDeviceError, match="still in use") as caught:
            unmount(place, patience=(0.01, 0.01))
        assert f"{sleeper.pid} (sleep)" in caught.value.hint
        assert mounts_below(place) == ()
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.machine
def test_patience_helps_when_somebody_lets_go(place):
    mounts.mount("scratch", place, fstype="tmpfs")
    sleeper = subprocess.Popen(["sleep", "0.3"], cwd=place)
    unmount(place, patience=(0.2, 0.2, 0.2, 0.5, 1.0))
    sleeper.wait()
    assert mounts_below(place) == ()


@pytest.mark.machine
def test_unmounting_what_is_not_mounted_is_an_error_but_detaching_is_not(place):
    with pytest.raises(BlockDeviceError, match="Invalid argument"):
        unmount(place)
    detach(place)


@pytest.mark.machine
def test_everything_below_goes_deepest_first_and_what_is_kept_stays(place):
    for name in ("a", "a/b", "a/b/c", "kept"):
        (place / name).mkdir()
        mounts.mount("scratch", place / name, fstype="tmpfs")
    gone = unmount_below(place, keep=[place / "kept"])
    assert gone == (place / "a/b/c", place / "a/b", place / "a")
    assert [found.target for found in mounts_below(place)] == [place / "kept"]
    unmount(place / "kept")


@pytest.mark.machine
def test_mounts_on_top_of_one_another_all_go(place):
    for _ in range(3):
        mounts.mount("scratch", place, fstype="tmpfs")
    assert len(unmount_below(place)) == 3
    assert mounts_below(place) == ()
    assert list(place.iterdir()) == []
