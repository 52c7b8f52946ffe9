"""Identifiers that follow from a seed, and those that a user gave."""

from __future__ import annotations

import re
import uuid

import pytest

from pydib import blockdev
from pydib.blockdev.filesystem import mkfs_command
from pydib.blockdev.identity import identified
from pydib.blockdev.nodes import Mkfs, Partitioning
from pydib.blockdev.table import lay_out, sfdisk_script
from pydib.sizes import GIB

DISK = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: LABEL
    partitions:
      - {name: esp, size: 100MiB, mkfs: {type: vfat, mount: {mount_point: /boot/efi}}}
      - {name: root, size: 100%, mkfs: {name: mkfs_root, type: TYPEMORE, mount: {mount_point: /}}}
"""


def graph(label: str = "gpt", type: str = "ext4", more: str = "", **root: object) -> blockdev.Graph:
    text = DISK.replace("LABEL", label).replace("TYPE", type).replace("MORE", more)
    return blockdev.load(text, root=blockdev.RootDefaults(**root))  # type: ignore[arg-type]


def made(graph: blockdev.Graph) -> dict[str, Mkfs]:
    return {node.type: node for node in graph.of(Mkfs)}


def script(graph: blockdev.Graph) -> str:
    (table,) = graph.of(Partitioning)
    return sfdisk_script(lay_out(table, disk_bytes=2 * GIB, sector_bytes=512))


def test_the_same_seed_gives_the_same_and_another_one_nothing_of_it() -> None:
    one, again, other = (identified(graph(), seed) for seed in ("a", "a", "b"))
    assert one == again
    for kind in ("ext4", "vfat"):
        assert made(one)[kind].uuid != made(other)[kind].uuid
    assert made(one)["ext4"].hash_seed not in (made(one)["ext4"].uuid, made(other)["ext4"].hash_seed, "")
    assert re.fullmatch(r"[0-9A-F]{4}-[0-9A-F]{4}", made(one)["vfat"].uuid)
    identifiers = re.findall(r"(?:label-id: |uuid=)(\S+)", script(one))
    assert len(set(identifiers)) == 3
    assert all(uuid.UUID(name) for name in identifiers)
    assert not set(identifiers) & set(re.findall(r"(?:label-id: |uuid=)(\S+)", script(other)))


def test_an_mbr_has_a_number_for_the_disk_only() -> None:
    text = script(identified(graph("mbr"), "a"))
    assert re.findall(r"label-id: 0x[0-9a-f]{8}\n", text)
    assert "uuid=" not in text


def test_without_a_seed_all_is_left_to_the_tools() -> None:
    assert identified(graph(), "") == graph()
    assert "label-id" not in script(graph())


@pytest.mark.parametrize(("type", "more", "root"), [
    ("ext4", ", uuid: 7d1b5b7c-0000-4000-8000-000000000001", {}),
    ("ext4", ", opts: -U 7d1b5b7c-0000-4000-8000-000000000001", {}),
    ("ext4", "", {"options": ("-U", "7d1b5b7c-0000-4000-8000-000000000001")}),
    ("xfs", ", opts: -m uuid=7d1b5b7c-0000-4000-8000-000000000001", {}),
])
def test_what_the_user_names_stays(type: str, more: str, root: dict[str, object]) -> None:
    before, after = (made(one)[type] for one in (graph("gpt", type, more, **root), identified(graph(
        "gpt", type, more, **root), "a")))
    assert after.uuid == before.uuid


def test_the_hash_seed_joins_the_other_extended_options_unless_it_is_among_them() -> None:
    node = Mkfs(name="m", base="b", type="ext4", label="x", hash_seed="7d1b5b7c-0000-4000-8000-000000000001")
    assert mkfs_command(node, "d", ["-E", "resize=9"])[1:3] == ("-E", f"resize=9,hash_seed={node.hash_seed}")
    assert mkfs_command(node, "d", ["-E", "hash_seed=mine"])[1:3] == ("-E", "hash_seed=mine")
