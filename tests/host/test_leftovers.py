"""What the kernel keeps of a build that was killed: found by the file behind it, and given back from the top down."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pydib.host import leftovers, loop
from pydib.host.leftovers import Bound
from pydib.sizes import MIB


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """loop7 with a partition that kpartx mapped (dm-0), on which a volume lies (dm-1); the commands that were given."""
    block = tmp_path / "block"
    for path in ("loop7/holders/dm-0", "dm-0/dm", "dm-0/holders/dm-1", "dm-1/dm", "dm-1/holders", "loop8/holders/dm-2"):
        (block / path).mkdir(parents=True)
    (block / "dm-0/dm/name").write_text("loop7p1\n")
    (block / "dm-1/dm/name").write_text("vg-root\n")
    given: list[tuple[str, ...]] = []
    monkeypatch.setattr(leftovers, "SYS_BLOCK", block)
    monkeypatch.setattr(leftovers, "drop_partitions", lambda device: None)
    monkeypatch.setattr(leftovers, "run", lambda *words: given.append(words))
    return given


def test_volumes_go_before_the_partitions_that_they_lie_on(tmp_path: Path, kernel: list[tuple[str, ...]]) -> None:
    image = tmp_path / "image0.raw"
    image.touch()
    info = image.stat()
    used = [Bound(name="loop7", filesystem=info.st_dev, inode=info.st_ino),
            Bound(name="loop8", filesystem=info.st_dev, inode=info.st_ino + 1)]
    assert leftovers.release([tmp_path], set(), bound=lambda: used) == ("/dev/mapper/vg-root", "/dev/mapper/loop7p1")
    assert [words[-1] for words in kernel] == ["vg-root", "loop7p1"]


def test_a_file_below_more_folders_than_python_recurses_is_found(tmp_path: Path, kernel: list[tuple[str, ...]]) -> None:
    deep = tmp_path / "/".join(["d"] * 1200)
    subprocess.run(["mkdir", "-p", deep], check=True)
    (deep / "image0.raw").touch()
    info = (deep / "image0.raw").stat()
    used = [Bound(name="loop7", filesystem=info.st_dev, inode=info.st_ino)]
    assert leftovers.release([tmp_path], set(), bound=lambda: used)
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_a_filesystem_in_memory_is_known_by_its_number(tmp_path: Path, kernel: list[tuple[str, ...]]) -> None:
    used = [Bound(name="loop7", filesystem=4711, inode=2)]
    assert leftovers.release([tmp_path], {4711}, bound=lambda: used)
    assert not leftovers.release([tmp_path], {4712}, bound=lambda: used)


@pytest.mark.machine
@pytest.mark.parametrize("in_memory", [False, True], ids=["on-disk", "in-memory"])
def test_a_loop_device_that_a_script_left_is_freed(tmp_path: Path, in_memory: bool) -> None:
    if not loop.LOOP_CONTROL.exists():
        pytest.skip("this machine has no loop devices")
    place = tmp_path / "memory"
    place.mkdir()
    if in_memory:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    image = place / "image0.raw"
    with image.open("wb") as file:
        file.truncate(4 * MIB)
    device = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True,
                            check=True).stdout.strip()
    number = os.stat(place).st_dev
    if in_memory:  # as when the build's mount namespace has gone
        subprocess.run(["umount", "--lazy", place], check=True)
    assert leftovers.release([place], {number} if in_memory else set()) == (device,)
    assert not loop.backing_file(device).startswith(str(image))
