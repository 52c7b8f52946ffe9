"""Configurations that are wrong end with one clear message; those that are right become nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import blockdev
from pydib.blockdev.config import parse
from pydib.blockdev.nodes import Fstab, LocalLoop, LogicalVolume, Mkfs, Mount, Partition, Partitioning
from pydib.errors import BlockDeviceConfigError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "blockdev"
WRONG = sorted((FIXTURES / "wrong").glob("*.yaml"))


def config(name: str):
    return parse((FIXTURES / f"{name}.yaml").read_text(), where=f"{name}.yaml")


def named(nodes, name):
    return next(node for node in nodes if node.name == name)


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
@pytest.mark.contract("C-210", "C-212")
def test_what_is_wrong_is_said_with_its_place_and_what_to_do(path):
    text = path.read_text()
    expected = text.splitlines()[0].removeprefix("# error: ")
    with pytest.raises(BlockDeviceConfigError) as caught:
        blockdev.load(text, where="the.yaml")
    assert expected in str(caught.value)
    assert "the.yaml" in caught.value.where
    assert caught.value.hint


def test_the_line_of_the_wrong_node_is_named():
    text = "- local_loop:\n    name: image0\n\n- mkfs:\n    name: fs\n    base: image0\n    type: [ext4]\n"
    with pytest.raises(BlockDeviceConfigError) as caught:
        parse(text, where="x.yaml")
    assert caught.value.where == "x.yaml, line 5: mkfs fs"


def test_names_in_tree_form_come_from_module_and_base():
    nodes = config("tree-of-everything").nodes
    assert [node.name for node in nodes if not isinstance(node, Partition)] == [
        "image0", "table partitioning_image0", "mkfs_root", "mount_mkfs_root", "fstab_mount_mkfs_root",
        "mkfs_swap", "mount_mkfs_swap", "fstab_mount_mkfs_swap",
        "mkfs_boot", "mount_mkfs_boot", "fstab_mount_mkfs_boot", "mkfs_scratch", "mount_mkfs_scratch",
        "data", "mkfs_data", "mount_mkfs_data", "fstab_mount_mkfs_data"]
    assert named(nodes, "mkfs_boot").options == ("-m", "0", "-E", "lazy_itable_init=0")
    assert named(nodes, "fstab_mount_mkfs_boot") == Fstab(
        name="fstab_mount_mkfs_boot", base="mount_mkfs_boot", options="ro,noatime", dump_freq=1, fsck_passno=2)


def test_tree_and_digraph_form_mean_the_same():
    tree = """
- local_loop:
    name: image0
    partitioning:
      label: gpt
      partitions:
        - name: root
          size: 100%
          mkfs: {type: xfs, mount: {mount_point: /, fstab: {options: "rw,relatime", fsck-passno: 1}}}
"""
    renamed = {"line_root": "fstab_mount_mkfs_root", "at_root": "mount_mkfs_root", "table": "partitioning_image0"}
    text = (FIXTURES / "digraph.yaml").read_text()
    for long, short in renamed.items():
        text = text.replace(long, short)
    assert set(parse(text, where="x").nodes) == set(parse(tree, where="x").nodes)


def test_what_is_nested_may_name_another_base():
    text = "- local_loop: {name: a}\n- local_loop: {name: b, mkfs: {base: a, type: ext4}}\n"
    assert named(parse(text, where="x").nodes, "mkfs_a") == Mkfs(name="mkfs_a", base="a", type="ext4")


@pytest.mark.contract("C-206", "C-214", verdict="bettered", note="labels and sizes stay the text that they are")
def test_values_stay_the_text_they_are():
    nodes = config("values-that-yaml-would-change").nodes
    assert named(nodes, "mkfs_first").label == "no"
    assert named(nodes, "mkfs_root").label == "1e1"
    assert named(nodes, "first").type == "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
    assert isinstance(named(nodes, "123"), Partition)


def test_keys_without_meaning_are_warned_of_and_ignored():
    found = config("keys-without-meaning")
    assert [warning.split(": ", 2)[2] for warning in found.warnings] == [
        "the key 'colour' has no meaning and is ignored; known keys: base, block_size, directory, name, size",
        "the key 'label' is there twice; the last one counts",
        "the key 'fck-passno' has no meaning and is ignored; did you mean 'fsck-passno'?"]
    assert named(found.nodes, "mkfs_root").label == "second"


def test_yaml_anchors_and_merge_keys_work():
    text = """
- local_loop: {name: image0}
- mkfs: &base {name: mkfs_root, base: image0, type: ext4, label: one}
- local_loop: {name: image1}
- mkfs: {<<: *base, name: other, base: image1, label: two}
"""
    found = parse(text, where="x")
    assert named(found.nodes, "other") == Mkfs(name="other", base="image1", type="ext4", label="two")
    assert found.warnings == ()


def test_sector_size_from_outside_goes_first():
    text = "- local_loop: {name: image0, block_size: 512}\n"
    assert parse(text, where="x", sector_bytes=4096).nodes == (LocalLoop(name="image0", sector_bytes=4096),)


def test_types_and_flags_of_an_mbr():
    text = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {name: a, size: 1GiB, type: 0x8E, flags: [boot, primary]}
      - {name: b, size: 10%, type: c}
"""
    table = parse(text, where="x").nodes[1]
    assert isinstance(table, Partitioning) and table.align_bytes == 1024 * 1024
    assert table.partitions == (Partition(name="a", size="1GiB", type="8e", bootable=True, primary=True),
                                Partition(name="b", size="10%", type="0c"))


def test_volumes_are_rounded_down_to_extents_and_keep_their_options():
    nodes = config("lvm").nodes
    assert named(nodes, "lv_root") == LogicalVolume(name="lv_root", base="pydib-test-vg", size_bytes=247463936)
    assert named(nodes, "lv_thin").thin_pool == "pool"
    assert named(nodes, "pydib-test-vg").options == ("--force",)
    assert named(nodes, "pydib-test-vg").bases == ("pv_root", "pv_more")


def test_modules_can_be_nested_in_logical_volumes():
    text = """
- local_loop: {name: image0}
- lvm:
    pvs: [{name: pv, base: image0}]
    vgs: [{name: vg, base: [pv]}]
    lvs: [{name: lv, base: vg, extents: 100%VG, mkfs: {name: mkfs_root, mount: {mount_point: /}}}]
"""
    nodes = parse(text, where="x").nodes
    assert named(nodes, "mkfs_root").base == "lv"
    assert named(nodes, "mount_mkfs_root") == Mount(name="mount_mkfs_root", base="mkfs_root", mount_point="/")
