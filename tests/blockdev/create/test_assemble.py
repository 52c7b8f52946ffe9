"""Whole assemblies on real loop devices: what they make, and that nothing is left of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pydib import blockdev
from pydib.blockdev import RootDefaults
from pydib.blockdev.create import partitions
from pydib.blockdev.machine import can_mount
from pydib.errors import BlockDeviceConfigError, BlockDeviceError, CommandFailed, ToolMissing
from pydib.events import Note, Warned
from pydib.host import loop
from pydib.host.command import find_tool, run
from pydib.host.mapper import has_device_mapper
from pydib.host.mount import mounts_below, unmount_below
from pydib.sizes import GIB, MIB

FIXTURES = Path(__file__).parents[3] / "fixtures" / "blockdev"
pytestmark = pytest.mark.machine


class Bench:
    """A directory to assemble in, and what was reported."""

    def __init__(self, directory: Path) -> None:
        self.images, self.mount_base = directory / "images", directory / "mnt"
        self.images.mkdir()
        self.events = []

    def assembled(self, graph, size_bytes=512 * MIB, **options):
        return blockdev.assembled(graph, image_dir=self.images, size_bytes=size_bytes, mount_base=self.mount_base,
                                  report=self.events.append, **options)

    def notes(self, kind=Note):
        return [event.text for event in self.events if isinstance(event, kind)]

    def loops(self):
        names = [device.name for device in Path("/sys/block").glob("loop*")]
        return [name for name in names if loop.backing_file(f"/dev/{name}").startswith(str(self.images))]

    def left(self):
        return [str(found.target) for found in mounts_below(self.mount_base)] + self.loops()


@pytest.fixture
def bench(tmp_path):
    if not loop.LOOP_CONTROL.exists():
        pytest.skip("this machine has no loop devices")
    made = Bench(tmp_path)
    yield made
    left = made.left()
    unmount_below(tmp_path)
    assert left == []


def graph_of(name: str, **root):
    graph = blockdev.load((FIXTURES / f"{name}.yaml").read_text(), where=name, root=RootDefaults(**root))
    for tool in graph.tools:
        if not find_tool(tool):
            pytest.skip(f"{tool} is not installed")
    for found in graph.filesystems():
        if found.filesystem.type != "swap" and not can_mount(found.filesystem.type):
            pytest.skip(f"this kernel cannot mount {found.filesystem.type}")
    return graph


def probe(image: Path, extent) -> dict[str, str]:
    text = run("blkid", "--probe", "--output", "export", "--offset", str(extent.offset_bytes), "--size",
               str(extent.size_bytes), image)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def written_table(image: Path) -> list[tuple[int, int]]:
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    return [(part["start"], part["size"]) for part in table["partitions"]]


def test_without_configuration_one_filesystem_fills_the_image(bench):
    graph = blockdev.load(None)
    with bench.assembled(graph) as disk:
        assert disk.image_block_devices == {"image0": disk.image_block_device}
        (bench.mount_base / "hello").write_text("world")
    assert disk.main_image == bench.images / "image0.raw"
    assert disk.main_image.stat().st_size == 512 * MIB
    found = probe(disk.main_image, graph.layouts(512 * MIB)["image0"].extents["image0"])
    assert (found["TYPE"], found["LABEL"]) == ("ext4", "cloudimg-rootfs")
    run("e2fsck", "-fn", disk.main_image)
    assert "world" in run("debugfs", "-R", "cat /hello", disk.main_image)


def test_everything_of_a_tree_is_made_and_mounted_in_order(bench):
    graph = graph_of("tree-of-everything")
    with bench.assembled(graph, GIB) as disk:
        device = disk.image_block_device
        assert list(disk.image_block_devices) == ["image0", "root", "swap", "boot", "scratch", "data"]
        assert disk.image_block_devices["root"] in (f"{device}p1", f"/dev/mapper/{Path(device).name}p1")
        mounts = [(found.target.relative_to(bench.mount_base).as_posix(), found.fstype)
                  for found in mounts_below(bench.mount_base)]
        assert mounts == [(".", "ext4"), ("boot", "ext2"), ("boot-data", "xfs"), ("scratch", "btrfs")]
        (bench.mount_base / "scratch/file").write_text("x")
    layouts = graph.layouts(GIB)
    assert written_table(disk.main_image) == [(slot.start, slot.sectors) for slot in layouts["image0"].table.slots]
    labels = {name: probe(disk.main_image, extent).get("LABEL") for name, extent in layouts["image0"].extents.items()}
    assert labels == {"image0": None, "root": "cloudimg-rootfs", "swap": "mkfs_swap", "boot": "boot",
                      "scratch": "mkfs_scratch"}
    data = probe(disk.images["data"], layouts["data"].extents["data"])
    assert data["UUID"] == "5c0bb7c5-0c3c-4f0f-9f3c-8f7f8c5f2d11"
    assert disk.fstab == graph.fstab_text()


@pytest.mark.parametrize("name", [
    "mbr-with-sectors-of-4-kib", "gpt-with-sectors-of-4-kib", "gpt-types-by-code-and-guid",
    "mbr-primary-then-logical", "mbr-aligned-to-3-mib-on-an-odd-disk"])
def test_tables_are_on_the_disk_as_laid_out(bench, name):
    graph = graph_of(f"tables/{name}")
    layout = graph.layouts(512 * MIB)["image0"]
    with bench.assembled(graph) as disk:
        table = json.loads(run("sfdisk", "--json", disk.image_block_device))["partitiontable"]
        assert [(part["start"], part["size"]) for part in table["partitions"]] == [
            (slot.start, slot.sectors) for slot in layout.table.slots]
        for partition, device in list(disk.image_block_devices.items())[1:]:
            assert loop.device_bytes(device) == layout.extents[partition].size_bytes
        (bench.mount_base / "file").write_text("x" * 100000)
    assert probe(disk.main_image, layout.extents["root"])["LABEL"] == "cloudimg-rootfs"


def test_fat_is_made_though_it_is_not_mounted(bench):
    graph = graph_of("vfat-made-but-not-mounted")
    with bench.assembled(graph, 256 * MIB) as disk:
        pass
    found = probe(disk.main_image, graph.layouts(256 * MIB)["image0"].extents["ESP"])
    assert (found["TYPE"], found["LABEL"], found["UUID"]) == ("vfat", "EFI", "ABCD-1234")


def test_an_efi_system_partition_is_mounted_inside_the_root(bench):
    with bench.assembled(graph_of("efi-with-root"), 256 * MIB):
        mounts = mounts_below(bench.mount_base)
        found = {str(mount.target.relative_to(bench.mount_base)): mount.fstype for mount in mounts}
        assert found == {".": "ext4", "boot/efi": "vfat"}
        (bench.mount_base / "boot/efi/EFI").mkdir()


def test_what_the_kernel_cannot_mount_is_said_before_anything_is_made(bench):
    if can_mount("vfat"):
        pytest.skip("this kernel can mount vfat")
    graph = blockdev.load((FIXTURES / "efi-with-root.yaml").read_text())
    with pytest.raises(ToolMissing, match="cannot mount vfat"):
        bench.assembled(graph).__enter__()
    assert list(bench.images.iterdir()) == []


def test_a_small_root_filesystem_gets_a_journal_that_fits(bench):
    with bench.assembled(blockdev.load(None), 40 * MIB) as disk:
        pass
    size = re.search(r"Total journal size:\s*(\d+M)", run("dumpe2fs", "-h", disk.main_image))
    assert size and size[1] == "16M"


def only(monkeypatch, *ways):
    """Let the other ways of mapping partitions refuse."""
    def refuse(*_):
        raise partitions.Unavailable("not today")
    monkeypatch.setattr(partitions, "WAYS", {
        name: way if name in ways else refuse for name, way in partitions.WAYS.items()})


@pytest.mark.parametrize(("way", "device"), [
    ("partx", r"/dev/loop\d+p\d"), ("kpartx", r"/dev/mapper/loop\d+p\d"), ("loop", r"/dev/loop\d+")])
def test_each_way_of_mapping_does_the_same_and_is_said(bench, way, device):
    if way == "kpartx" and not has_device_mapper():
        pytest.skip("this machine has no device-mapper")
    graph = graph_of("tables/mbr-primary-then-logical")
    with bench.assembled(graph, partition_mapper=way) as disk:
        assert all(re.fullmatch(device, found) for found in list(disk.image_block_devices.values())[1:])
        (bench.mount_base / "file").write_text("here")
    assert re.fullmatch(rf"partitions of /dev/loop\d+ are mapped by {way}", bench.notes()[0])
    assert probe(disk.main_image, graph.layouts(512 * MIB)["image0"].extents["root"])["TYPE"] == "ext4"
    assert not list(Path("/dev/mapper").glob("loop*"))


def test_why_a_way_of_mapping_was_not_taken_is_said(bench, monkeypatch):
    only(monkeypatch, "loop")
    with bench.assembled(graph_of("tables/mbr-one-bootable-primary")):
        pass
    assert bench.notes()[0].endswith("are mapped by loop (partx: not today; kpartx: not today)")


def test_when_no_way_of_mapping_works_each_reason_is_given(bench, monkeypatch):
    only(monkeypatch)
    with pytest.raises(BlockDeviceError, match="cannot be mapped") as caught:
        bench.assembled(graph_of("tables/mbr-one-bootable-primary")).__enter__()
    assert "partx: not today" in caught.value.where
    assert list(bench.images.iterdir()) == []


def test_directories_of_mount_points_can_be_read_by_all(bench):
    before = os.umask(0o077)
    try:
        with bench.assembled(graph_of("tree-of-everything"), GIB):
            assert (bench.mount_base / "boot").stat().st_mode & 0o777 == 0o755
            assert bench.mount_base.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_unused_blocks_go_back_to_the_file(bench):
    with bench.assembled(blockdev.load(None, root=RootDefaults(journal_mib=4)), 256 * MIB) as disk:
        junk = bench.mount_base / "junk"
        junk.write_bytes(os.urandom(64 * MIB))
        os.sync()
        assert disk.main_image.stat().st_blocks * 512 > 64 * MIB
        junk.unlink()
    assert disk.main_image.stat().st_blocks * 512 < 32 * MIB


def test_what_others_mounted_below_is_unmounted_and_said(bench):
    with bench.assembled(blockdev.load(None)):
        (bench.mount_base / "proc").mkdir()
        run("mount", "-t", "tmpfs", "scratch", bench.mount_base / "proc")
    assert bench.notes()[-1] == f"unmounted what was left below {bench.mount_base}: {bench.mount_base}/proc"


def test_warnings_about_the_configuration_are_reported(bench):
    with bench.assembled(graph_of("keys-without-meaning")):
        pass
    assert len(bench.notes(Warned)) == 3


@pytest.mark.contract("C-223", "C-287", verdict="bettered", note="mounts, volumes and loop devices are all taken back")
def test_a_step_that_fails_half_way_leaves_nothing(bench):
    text = (FIXTURES / "tree-of-everything.yaml").read_text().replace("opts: \"-m 0", "opts: \"-m 101")
    graph = blockdev.load(text)
    with pytest.raises(CommandFailed, match="invalid reserved blocks percent"):
        bench.assembled(graph, GIB).__enter__()
    assert bench.left() == []
    assert list(bench.images.iterdir()) == []


@pytest.mark.contract("C-281", "C-287", verdict="bettered", note="whatever fails, the rest is taken back")
def test_a_build_that_fails_leaves_nothing_even_when_files_are_open(bench):
    with pytest.raises(RuntimeError), bench.assembled(graph_of("tree-of-everything"), GIB):
        run("mount", "-t", "tmpfs", "scratch", bench.mount_base / "boot")
        raise RuntimeError
    assert bench.left() == []
    assert list(bench.images.iterdir()) == []


def test_who_is_still_in_the_image_is_named(bench, monkeypatch):
    monkeypatch.setattr("pydib.host.mount.PATIENCE", (0.01,))
    monkeypatch.setattr("pydib.host.mount.unmount.__kwdefaults__", {"patience": (0.01,)}, raising=False)
    sleeper = None
    try:
        with pytest.raises(BlockDeviceError, match="still in use") as caught, bench.assembled(blockdev.load(None)):
            sleeper = subprocess.Popen(["sleep", "60"], cwd=bench.mount_base)
        assert f"{sleeper.pid} (sleep)" in caught.value.hint
        assert mounts_below(bench.mount_base) == ()
    finally:
        sleeper.kill()
        sleeper.wait()
    wait_until(lambda: not bench.loops())
    assert list(bench.images.iterdir()) == []


def test_a_full_disk_is_an_error_and_no_broken_image(bench):
    run("mount", "-t", "tmpfs", "-o", "size=24m", "small", bench.images)
    try:
        with pytest.raises((BlockDeviceError, OSError)):
            with bench.assembled(blockdev.load(None, root=RootDefaults(journal_mib=4)), 256 * MIB):
                (bench.mount_base / "junk").write_bytes(os.urandom(64 * MIB))
        assert list(bench.images.iterdir()) == []
    finally:
        unmount_below(bench.images)


def test_a_directory_that_is_missing_is_said(bench):
    bench.images.rmdir()
    with pytest.raises(BlockDeviceError, match="image file cannot be made: No such file"):
        bench.assembled(blockdev.load(None)).__enter__()


def test_partitions_that_do_not_fit_are_an_error_before_anything_is_made(bench):
    with pytest.raises(BlockDeviceConfigError, match="only"):
        bench.assembled(graph_of("tables/gpt-efi".replace("gpt-efi", "mbr-one-logical")), 4 * MIB).__enter__()
    assert list(bench.images.iterdir()) == []


@pytest.mark.contract("C-289")
def test_two_assemblies_at_once_do_not_meet(tmp_path):
    graph = graph_of("tables/mbr-primary-then-logical")
    benches = []
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        benches.append(Bench(tmp_path / str(number)))

    def work(bench):
        with bench.assembled(graph) as disk:
            (bench.mount_base / "who").write_text(str(bench.images))
            time.sleep(0.1)
            return disk.image_block_device

    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(work, benches))) == 4
    for bench in benches:
        assert bench.left() == []
        offset = graph.layouts(512 * MIB)["image0"].extents["root"].offset_bytes
        image = bench.images / "image0.raw"
        assert run("debugfs", "-R", "cat /who", f"{image}?offset={offset}") == str(bench.images)


@pytest.mark.contract("C-285", verdict="bettered",
                      note="what is taken belongs to the build's namespaces and ends with them")
def test_nothing_is_left_when_the_build_is_killed(bench):
    program = ("import sys, time; from pathlib import Path; from pydib import blockdev, events\n"
               "images, base, text = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).read_text()\n"
               "with blockdev.assembled(blockdev.load(text), image_dir=images, size_bytes=512 << 20,\n"
               "                        mount_base=base, report=events.ignore) as disk:\n"
               "    print(disk.image_block_device, flush=True)\n"
               "    time.sleep(60)\n")
    config = FIXTURES / "tables" / "mbr-primary-then-logical.yaml"
    builder = subprocess.Popen(["unshare", "--mount", sys.executable, "-c", program, bench.images, bench.mount_base,
                                config], stdout=subprocess.PIPE, text=True)
    device = builder.stdout.readline().strip()
    assert bench.loops() == [Path(device).name]
    builder.kill()
    builder.wait()
    builder.stdout.close()
    wait_until(lambda: not bench.loops())
    assert bench.left() == []
    assert loop.backing_file(device) == ""


def test_lvm_needs_device_mapper_and_says_so_before_anything_is_made(bench):
    if has_device_mapper():
        pytest.skip("this machine has device-mapper")
    graph = graph_of("lvm")
    with pytest.raises(ToolMissing, match="LVM needs device-mapper"):
        blockdev.check_machine(graph)
    with pytest.raises(ToolMissing, match="LVM needs device-mapper"):
        bench.assembled(graph).__enter__()
    assert list(bench.images.iterdir()) == []


def test_lvm_volumes_are_made_and_mounted(bench):
    if not has_device_mapper() or not find_tool("lvcreate"):
        pytest.skip("this machine has no device-mapper, or lvm2 is not installed")
    graph = graph_of("lvm")
    with bench.assembled(graph, GIB) as disk:
        assert disk.image_block_devices["lv-rest"] == "/dev/mapper/pydib--test--vg-lv--rest"
        mounts = [found.target.relative_to(bench.mount_base).as_posix() for found in mounts_below(bench.mount_base)]
        assert mounts == [".", "var", "var/thin"]
        (bench.mount_base / "var/thin/file").write_text("x")
    assert not list(Path("/dev/mapper").glob("pydib*"))
    extent = graph.layouts(GIB)["image0"].extents["root"]
    assert probe(disk.main_image, extent)["TYPE"] == "LVM2_member"


def wait_until(done, seconds=5.0):
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.02)
    assert done()
