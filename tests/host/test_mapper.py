"""Device-mapper's maps as /sys shows them. The maps themselves: tests/machine/test_device_mapper.py."""

from __future__ import annotations

from pathlib import Path

from pydib.host.mapper import Map, maps_above


def block(sys_block: Path, name: str, *, holders: str = "", dm: str = "") -> None:
    """A device as the kernel shows it in /sys/class/block."""
    (sys_block / name / "holders").mkdir(parents=True, exist_ok=True)
    for holder in holders.split():
        (sys_block / name / "holders" / holder).mkdir()
    if dm:
        (sys_block / name / "dm").mkdir()
        (sys_block / name / "dm" / "name").write_text(dm + "\n")


def test_a_loop_device_with_nothing_on_it(tmp_path: Path) -> None:
    block(tmp_path, "loop7")
    assert maps_above("loop7", sys_block=tmp_path) == ()


def test_partitions_of_kpartx_lie_on_the_disk(tmp_path: Path) -> None:
    block(tmp_path, "loop7", holders="dm-0 dm-1")
    block(tmp_path, "dm-0", dm="loop7p1")
    block(tmp_path, "dm-1", dm="loop7p2")
    assert maps_above("loop7", sys_block=tmp_path) == (
        Map(name="loop7p1", device="/dev/dm-0"), Map(name="loop7p2", device="/dev/dm-1"))


def test_volumes_on_the_kernels_own_partitions_are_found(tmp_path: Path) -> None:
    block(tmp_path, "loop7")
    block(tmp_path / "loop7", "loop7p2", holders="dm-3")
    block(tmp_path, "dm-3", dm="vg-root")
    assert [found.name for found in maps_above("loop7", sys_block=tmp_path)] == ["vg-root"]


def test_what_lies_on_several_comes_after_all_of_them(tmp_path: Path) -> None:
    """A thin pool, and a volume in it that also lies on a map of its own."""
    block(tmp_path, "loop7", holders="dm-0 dm-1 dm-2")
    block(tmp_path, "dm-0", dm="pool_meta", holders="dm-3")
    block(tmp_path, "dm-1", dm="pool_data", holders="dm-3")
    block(tmp_path, "dm-2", dm="origin", holders="dm-4")
    block(tmp_path, "dm-3", dm="pool", holders="dm-4")
    block(tmp_path, "dm-4", dm="thin")
    names = [found.name for found in maps_above("loop7", sys_block=tmp_path)]
    assert sorted(names) == ["origin", "pool", "pool_data", "pool_meta", "thin"]
    assert names.index("pool") > max(names.index("pool_meta"), names.index("pool_data"))
    assert names[-1] == "thin"
