"""Partition tables to the sector. The expected tables agree with what DIB 3.43 writes for the same configuration."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pydib import blockdev
from pydib.blockdev.table import sfdisk_script
from pydib.errors import BlockDeviceConfigError
from pydib.sizes import GIB, MIB, parse_size

CASES = sorted((Path(__file__).parents[2] / "fixtures" / "blockdev" / "tables").glob("*.yaml"))


def table_of(path: Path):
    text = path.read_text()
    size = parse_size(text.splitlines()[0].removeprefix("# size: "))
    return blockdev.load(text, where=path.name).layouts(size)["image0"].table


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_table_is_laid_out_to_the_sector(path):
    assert sfdisk_script(table_of(path)) == path.with_suffix(".sfdisk").read_text()


@pytest.mark.parametrize("path", [case for case in CASES if "4-kib" not in case.stem], ids=lambda path: path.stem)
def test_sfdisk_writes_the_table_as_it_was_computed(path, tmp_path):
    if not shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        pytest.skip("sfdisk is not installed")
    table = table_of(path)
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(table.disk_bytes)
    command = ["sfdisk", "--quiet", str(image)]
    subprocess.run(command, input=sfdisk_script(table), text=True, check=True, env={"PATH": "/usr/sbin:/sbin"})
    dump = subprocess.run(["sfdisk", "--dump", str(image)], text=True, check=True, capture_output=True,
                          env={"PATH": "/usr/sbin:/sbin"}).stdout
    written = [line.split(":")[1].replace(" ", "") for line in dump.splitlines() if line.startswith(str(image))]
    for line, slot in zip(written, table.slots, strict=True):
        expected_type = slot.type if table.label == "gpt" else slot.type.lstrip("0")
        assert line.startswith(f"start={slot.start},size={slot.sectors},type={expected_type}")
        assert ("bootable" in line) == (slot.bootable and table.label == "mbr")


@pytest.mark.parametrize(("label", "size", "message"), [
    ("mbr", "600MiB", "needs 600.0 MiB, but only 511.0 MiB are left"),
    ("mbr", "512MiB", "needs 512.0 MiB, but only 511.0 MiB are left"),
    ("gpt", "511MiB", "needs 511.0 MiB, but only 510.0 MiB are left"),
    ("gpt", "0%", "would be empty"),
    ("mbr", "0%", "would be empty"),
    ("mbr", "100B", "would be empty"),
])
def test_a_partition_that_does_not_fit_is_an_error(label, size, message):
    flags = "[primary]" if label == "mbr" else "[]"
    with pytest.raises(BlockDeviceConfigError, match=message) as caught:
        _one(label, size, flags).layouts(512 * MIB)
    assert "line 6: partition root" in caught.value.where


def test_an_mbr_partition_may_reach_the_end_of_the_disk():
    table = _one("mbr", "511MiB", "[primary]").layouts(512 * MIB)["image0"].table
    assert table.slots[0].start + table.slots[0].sectors == 1048576


def test_an_image_smaller_than_a_gpt_is_an_error():
    with pytest.raises(BlockDeviceConfigError, match="would be empty"):
        _one("gpt", "100%", "[]").layouts(MIB)


def test_a_disk_too_large_for_an_mbr_is_an_error():
    with pytest.raises(BlockDeviceConfigError, match="too large for an mbr"):
        _one("mbr", "100%", "[primary]").layouts(2048 * GIB)


def test_an_alignment_that_is_no_multiple_of_the_sectors_is_an_error():
    graph = _one("mbr", "100%", "[primary]", sector_bytes=4096, align="    align: 512B\n")
    with pytest.raises(BlockDeviceConfigError, match="not a multiple of the sector size"):
        graph.layouts(GIB)


def _one(label, size, flags, sector_bytes=None, align=""):
    text = ("- local_loop: {name: image0}\n- partitioning:\n    base: image0\n"
            f"    label: {label}\n{align}    partitions:\n"
            f"      - {{name: root, size: {size}, flags: {flags}, "
            "mkfs: {name: mkfs_root, mount: {mount_point: /}}}\n")
    return blockdev.load(text, where="one", sector_bytes=sector_bytes)
