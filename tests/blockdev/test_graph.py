"""The order of creation, the answers before anything exists, and fstab."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import blockdev
from pydib.blockdev import RootDefaults
from pydib.blockdev.nodes import Mkfs, Mount
from pydib.errors import BlockDeviceConfigError
from pydib.sizes import GIB, MIB

FIXTURES = Path(__file__).parents[2] / "fixtures" / "blockdev"


def load(name: str, **root):
    return blockdev.load((FIXTURES / f"{name}.yaml").read_text(), where=name, root=RootDefaults(**root))


def positions(graph):
    return {node.name: place for place, node in enumerate(graph.order)}


def test_without_a_configuration_the_whole_image_is_one_filesystem():
    graph = blockdev.load(None)
    assert graph.answers == blockdev.Answers(root_label="cloudimg-rootfs", root_fstype="ext4", boot_label="",
                                             mount_points=("/",))
    assert graph.fstab_text() == "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n"
    assert graph.layouts(GIB)["image0"].table is None


def test_answers_are_those_of_the_configuration():
    answers = load("tree-of-everything").answers
    assert answers.root_label == "cloudimg-rootfs"
    assert answers.boot_label == "boot"
    assert answers.mount_points == ("/", "none", "/boot", "/scratch", "/boot-data")


def test_mount_points_keep_the_order_of_the_configuration():
    assert load("efi-with-root").answers.mount_points == ("/boot/efi", "/")


def test_boot_label_falls_back_to_the_name_of_its_node():
    text = """
- local_loop: {name: image0, mkfs: {name: mkfs_root, mount: {mount_point: /}}}
- local_loop: {name: b, mkfs: {type: ext4, mount: {mount_point: /boot}}}
"""
    assert blockdev.load(text).answers.boot_label == "mkfs_b"


def test_a_root_filesystem_of_another_name_has_its_nodes_name_as_label():
    text = "- local_loop: {name: image0, mkfs: {name: system, type: ext4, mount: {mount_point: /}}}\n"
    graph = blockdev.load(text, root=RootDefaults(label="ignored", options=("-m", "1")))
    assert graph.answers.root_label == "system"
    assert graph.of(Mkfs)[0].options == ()


@pytest.mark.parametrize(("fs_type", "label"), [
    ("ext4", "cloudimg-rootfs"), ("xfs", "img-rootfs"), ("btrfs", "cloudimg-rootfs")])
def test_default_label_depends_on_the_type_the_root_really_has(fs_type, label):
    text = f"- local_loop: {{name: image0, mkfs: {{name: mkfs_root, type: {fs_type}, mount: {{mount_point: /}}}}}}\n"
    answers = blockdev.load(text, root=RootDefaults(fs_type="ext4")).answers
    assert (answers.root_fstype, answers.root_label) == (fs_type, label)


def test_root_defaults_fill_only_what_the_configuration_leaves_open():
    text = "- local_loop: {name: image0, mkfs: {name: mkfs_root, label: mine, opts: -m 0, mount: {mount_point: /}}}\n"
    graph = blockdev.load(text, root=RootDefaults(fs_type="ext3", label="theirs", options=("-m", "5")))
    assert graph.of(Mkfs) == (Mkfs(name="mkfs_root", base="image0", type="ext3", label="mine", options=("-m", "0")),)


def test_everything_comes_after_what_it_stands_on():
    place = positions(load("digraph"))
    assert list(place) == ["image0", "table table", "root", "mkfs_root", "at_root", "line_root"]


def test_a_partition_may_be_called_as_its_table_and_have_blanks():
    text = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    name: Root Part
    label: gpt
    partitions:
      - {name: Root Part, type: "0x4100", size: 100%, mkfs: {type: ext4, label: r, mount: {mount_point: /}}}
"""
    graph = blockdev.load(text)
    slot = graph.layouts(GIB)["image0"].table.slots[0]
    assert (slot.name, slot.type) == ("Root Part", "9E1A2D38-C612-4316-AA26-8B49521E5A8B")


def test_parents_are_mounted_first_and_swap_last():
    points = [mount.mount_point for mount in load("tree-of-everything").of(Mount)]
    assert points == ["/", "/boot", "/boot-data", "/scratch", "none"]


def test_volumes_follow_their_groups_and_pools():
    place = positions(load("lvm", fs_type="ext4"))
    assert place["pv_root"] < place["pydib-test-vg"] < place["pool"] < place["lv_thin"] < place["fs_thin"]
    assert place["mount_mkfs_root"] < place["mount_fs_rest"] < place["mount_fs_thin"]


def test_the_order_never_changes():
    assert len({load("tree-of-everything").order for _ in range(5)}) == 1


def test_fstab_has_a_line_for_each_fstab_node_and_swap_last():
    assert load("tree-of-everything").fstab_text() == (
        "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n"
        "LABEL=boot /boot ext2 ro,noatime 1 2\n"
        "LABEL=mkfs_data /boot-data xfs defaults 0 2\n"
        "LABEL=mkfs_swap none swap sw 0 0\n")


def test_fstab_escapes_blanks():
    text = ("- local_loop:\n"
            "    name: image0\n"
            "    mkfs: {name: mkfs_root, label: my root, mount: {mount_point: /, fstab: {}}}\n"
            "- local_loop: {name: b, mkfs: {type: ext4, mount: {mount_point: /my data, fstab: {}}}}\n")
    assert blockdev.load(text).fstab_text() == (
        "LABEL=my\\040root / ext4 defaults 0 2\nLABEL=mkfs_b /my\\040data ext4 defaults 0 2\n")


def test_labels_of_fat_are_in_capitals():
    graph = load("efi-with-root")
    assert "LABEL=MKFS_ESP /boot/efi vfat defaults 0 2\n" in graph.fstab_text()


def test_a_label_from_the_command_line_is_checked_against_the_root_filesystem():
    with pytest.raises(BlockDeviceConfigError, match="xfs takes 12 bytes") as caught:
        load("digraph", label="a-label-too-long")
    assert "--root-label" in caught.value.hint


def test_images_with_a_size_of_their_own_keep_it():
    layouts = load("tree-of-everything").layouts(GIB)
    assert (layouts["image0"].size_bytes, layouts["data"].size_bytes) == (GIB, 300 * MIB)


def test_extents_say_where_each_partition_lies():
    extents = load("efi-with-root").layouts(256 * MIB)["image0"].extents
    assert extents["ESP"].offset_bytes == MIB and extents["ESP"].size_bytes == 64 * MIB
    assert extents["root"].offset_bytes == 73 * MIB and extents["root"].size_bytes == 182 * MIB


def test_tools_are_those_of_the_filesystems():
    assert load("tree-of-everything").tools == ("mkfs.btrfs", "mkfs.ext2", "mkfs.ext4", "mkfs.xfs", "mkswap")


def test_main_image_is_image0_wherever_it_stands():
    text = ("- local_loop: {name: other, mkfs: {type: ext4, mount: {mount_point: /srv}}}\n"
            "- local_loop: {name: image0, mkfs: {name: mkfs_root, mount: {mount_point: /}}}\n")
    assert blockdev.load(text).main_image.name == "image0"
