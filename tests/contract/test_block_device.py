"""Disks: graphs, answers, tables, commands and fstab, ours beside diskimage-builder's (contract section 8)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from pydib import blockdev
from pydib.blockdev.create import assemble, lvm
from pydib.blockdev.gpt_types import GPT_TYPES
from pydib.blockdev.graph import Graph
from pydib.blockdev.nodes import Partitioning
from pydib.blockdev.table import Slot, Table
from pydib.errors import BlockDeviceConfigError
from pydib.sizes import MIB
from tests.contract.compare import Family, PythonOracle

SIZE_MIB = 4096
Described = dict[str, Any]


def described_by_oracle(answer: Described) -> Described:
    """The oracle's answer in the form that we compare."""
    if "error" in answer:
        return {"refused": True}
    tables: dict[str, list[Any]] = {
        name: [[number, start * 512, sectors * 512, kind, flag] for number, start, sectors, kind, flag in table]
        for name, table in answer["tables"].items() if table}
    for words in answer["commands"]:
        if words[0] == "sgdisk":
            image = next(name for name, device in answer["devices"].items() if device == words[1])
            tables[image] = _gpt_table(words[2:])
    return {
        "nodes": sorted({*answer["devices"], *answer["order"]}),
        "answers": answer["answers"], "tables": tables, "images": answer["images"], "fstab": answer["fstab"],
        "devices": answer["devices"], "made": sorted(filter(None, map(_made, answer["commands"]))),
        "mounted": [[words[1], words[2].rstrip("/")] for words in answer["commands"] if words[0] == "mount"]}


def _gpt_table(words: list[str]) -> list[Any]:
    """Bytes and types that sgdisk(8) gives: partitions begin at multiples of 1 MiB, one after another."""
    table, start = [], 1
    for at in range(0, len(words), 6):
        number, _, size = words[at + 1].split(":")
        mib, code = int(size[1:-1]), words[at + 3].split(":")[1].upper().removeprefix("0X")
        table.append([int(number), start * MIB, mib * MIB, GPT_TYPES.get(code, code),
                      words[at + 5].split(":")[1]])
        start += mib
    return table


def _made(words: list[str]) -> list[str] | None:
    """A command that makes something, in one form; None for others."""
    if words[0] == "mkfs":
        words = [f"mkfs.{words[2]}", *words[3:]]
    if words[0].startswith(("mkfs.", "mkswap")):
        zero = "00000000-0000-0000-0000-000000000000"
        pairs = [at for at, word in enumerate(words) if word.endswith(zero)]
        words = [word for at, word in enumerate(words) if at not in pairs and at + 1 not in pairs]
        return [word for word in words if word != "-q"]
    return [words[0], *sorted(words[1:])] if words[0] in ("pvcreate", "vgcreate", "lvcreate") else None


class Recorded:
    """Our assembly without a machine: commands and mounts are kept."""

    def __init__(self, patch: pytest.MonkeyPatch, graph: Graph) -> None:
        self.commands: list[list[str]] = []
        self.mounted: list[list[str]] = []
        self.graph, self.loops = graph, 0
        for name in ("attached", "mounted_filesystem", "sparse_file", "partition_disk"):
            patch.setattr(assemble, name, getattr(self, name.removeprefix("_")))
        patch.setattr(assemble, "check_machine", lambda graph: None)
        patch.setattr(assemble, "device_bytes", lambda device: SIZE_MIB * MIB)
        patch.setattr(assemble, "run", self.run)
        patch.setattr(lvm, "run", self.run)
        patch.setattr(lvm, "bound_to_us", lambda *devices: nullcontext())

    def run(self, *words: object, **more: object) -> None:
        found = [str(word) for word in words]
        self.commands.append([found[0], *found[4:]] if "--config" in found else found)

    @contextmanager
    def attached(self, image: Path, **more: object) -> Iterator[str]:
        self.loops += 1
        yield f"/dev/loop{self.loops - 1}"

    @contextmanager
    def sparse_file(self, path: Path, size_bytes: int) -> Iterator[Path]:
        yield path

    @contextmanager
    def mounted_filesystem(self, device: str, target: Path, **more: object) -> Iterator[None]:
        self.mounted.append([device, str(target)])
        yield

    def partition_disk(self, disk: Any, stack: object, report: object, *, only: str) -> Mapping[str, str]:
        name = disk.device.removeprefix("/dev/")
        return {slot.name: f"/dev/mapper/{name}p{slot.number}" for slot in disk.table.partitions}


def described_by_us(text: str, root: blockdev.RootDefaults) -> tuple[Described, Graph | None]:
    """Our result in the same form."""
    try:
        graph = blockdev.load(text, root=root)
        layouts = graph.layouts(SIZE_MIB * MIB)
    except BlockDeviceConfigError as error:
        return {"refused": True, "why": str(error)}, None
    with pytest.MonkeyPatch.context() as patch:
        recorded = Recorded(patch, graph)
        with blockdev.assembled(graph, image_dir=Path("DIR"), size_bytes=SIZE_MIB * MIB, mount_base=Path("DIR/mnt"),
                                report=lambda event: None) as disk:
            devices = dict(disk.image_block_devices)
        made = sorted(filter(None, map(_made, recorded.commands)))
    tables = {name: [_row(layout.table, slot) for slot in layout.table.slots]
              for name, layout in layouts.items() if layout.table}
    names = {node.name for node in graph.nodes if not isinstance(node, Partitioning)}
    answers = graph.answers
    return {
        "nodes": sorted(names), "tables": tables, "fstab": graph.fstab_text(), "made": made,
        "mounted": recorded.mounted, "images": {name: layout.size_bytes for name, layout in layouts.items()},
        "devices": devices,
        "answers": {"root-label": answers.root_label, "root-fstype": answers.root_fstype,
                    "boot-label": answers.boot_label, "mount-points": "|".join(answers.mount_points)}}, graph


def _row(table: Table, slot: Slot) -> list[Any]:
    place = [slot.number, table.extent(slot).offset_bytes, table.extent(slot).size_bytes]
    return [*place, slot.type, slot.name] if table.label == "gpt" else [*place, int(slot.type, 16), slot.bootable]


def order_is_kept(graph: Graph, answer: Described) -> list[str]:
    """Edges of the oracle's graph against which our order of creation goes, through nodes that only it has, too."""
    place = {node.name: number for number, node in enumerate(graph.order)}
    edges = {tuple(edge) for edge in answer["edges"]}
    for hidden in {name for edge in edges for name in edge} - place.keys():
        edges |= {(before, after) for before, middle in edges if middle == hidden
                  for other, after in edges if other == hidden}
    return sorted(f"{before} -> {after}" for before, after in edges
                  if before in place and after in place and place[before] > place[after])


def compare_texts(family: Family, oracle: PythonOracle, texts: Mapping[str, str], *, fs_type: str = "ext4",
                  label: str = "") -> None:
    """Compare configurations, named by where they come from."""
    for name, text in texts.items():
        root = blockdev.RootDefaults(fs_type=fs_type, label=label, journal_mib=64)
        mine, graph = described_by_us(text, root)
        params = {"root-fs-type": fs_type, "root-label": label or None, "image-size": f"{SIZE_MIB * 1024}KiB"}
        if graph is None or graph.answers.root_fstype == "ext4":
            params["root-fs-opts"] = "-i 4096 -J size=64"
        answer = oracle.ask("block_device", [{"text": text, "params": params}])[0]
        theirs = described_by_oracle(answer)
        theirs["nodes"] = sorted(set(theirs.get("nodes", ())) & set(mine.get("nodes", ()))) or theirs.get("nodes", [])
        if graph is not None and "error" not in answer:
            mine["against"], theirs["against"] = order_is_kept(graph, answer), []
        case = {"name": name, "text": text, "error": answer.get("error", ""), "ours": mine.pop("why", "")}
        if "refused" in mine or "refused" in theirs:
            family.compare(case, *("refused" if "refused" in each else "made" for each in (theirs, mine)))
            continue
        keys = [key for key in theirs if theirs[key] != mine[key]]
        family.compare(case, {key: theirs[key] for key in keys}, {key: mine[key] for key in keys})


@pytest.mark.family("block device, files")
@pytest.mark.contract("C-205", "C-208", "C-210", "C-211", "C-212", "C-213", "C-219", "C-220", "C-221", "C-222")
def test_configurations_in_files(family: Family, python_oracle: PythonOracle, real_elements: Path,
                                 fixtures: Path) -> None:
    paths = [*sorted(real_elements.rglob("block-device-*.yaml")),
             *sorted((real_elements.parent / "block_device" / "tests" / "config").glob("*.yaml")),
             *sorted((fixtures / "blockdev").rglob("*.yaml"))]
    assert len(paths) > 80
    compare_texts(family, python_oracle, {str(path): path.read_text() for path in paths})
    for fs_type, label in (("xfs", ""), ("ext4", "mylabel"), ("btrfs", "no")):
        some = {f"{fs_type} {path}": path.read_text() for path in paths if "wrong" not in str(path)}
        compare_texts(family, python_oracle, some, fs_type=fs_type, label=label)
    family.finish()


MOUNT_POINTS = ("/", "/boot", "/boot/efi", "/var", "/var/log", "/home", "/srv", "/usr", "/opt")
SIZES = ("100MiB", "550MiB", "1GiB", "1GB", "300M", "50%", "33.3%", "100%", "1.5GiB", "700 MiB", "123456789", "20%",
         "5GiB", "200MB", "524288KiB")


def filesystem(dice: random.Random, number: int, mount_point: str) -> dict[str, Any]:
    """A filesystem with its mount."""
    made: dict[str, Any] = {"type": dice.choice(("ext4", "ext4", "ext3", "xfs", "vfat", "btrfs", "swap"))}
    if mount_point == "/":
        made = {"name": "mkfs_root"} if dice.random() < 0.7 else {"type": "ext4", "label": "r"}
    elif dice.random() < 0.6:
        made["label"] = dice.choice((f"label{number}", f"label{number}", "same", "a-label-that-is-long", f"L {number}"))
    if dice.random() < 0.2:
        made["opts"] = dice.choice(("-m 1", "-m 0 -E nodiscard"))
    if dice.random() < 0.2:
        made["uuid"] = f"12345678-1234-1234-1234-12345678900{number}"
    made["mount"] = {"mount_point": mount_point}
    if dice.random() < 0.8:
        made["mount"]["fstab"] = dice.choice(({"options": "defaults"}, {"options": "ro,noatime", "fsck-passno": 1},
                                             {"dump-freq": 1}, {"options": "rw", "dump-freq": 0, "fsck-passno": 0}))
    return made


def tree(dice: random.Random) -> list[dict[str, Any]]:
    """A configuration in tree form, at random; not all of them can be made."""
    points = ["/", *dice.sample(MOUNT_POINTS[1:], dice.randint(0, 3))]
    if dice.random() < 0.03:
        points.append("/")
    dice.shuffle(points)
    image: dict[str, Any] = {"name": "image0"}
    if dice.random() < 0.4:
        image["size"] = dice.choice(("8GiB", "5GB", "3GiB", "20GiB"))
    if len(points) == 1 and dice.random() < 0.5:
        return [{"local_loop": {**image, "mkfs": filesystem(dice, 0, "/")}}]
    kind = dice.choice(("mbr", "gpt"))
    table: dict[str, Any] = {"base": "image0", "label": kind, "partitions": [
        partition(dice, kind, number, point) for number, point in enumerate(points)]}
    if dice.random() < 0.2:
        table["align"] = dice.choice(("1MiB", "4MiB", "512KiB", "3MiB"))
    return [{"local_loop": image}, {"partitioning": table}]


def partition(dice: random.Random, kind: str, number: int, point: str) -> dict[str, Any]:
    """One partition with a filesystem."""
    made: dict[str, Any] = {"name": f"part{number}", "size": dice.choice(SIZES),
                            "mkfs": filesystem(dice, number, point)}
    if kind == "mbr":
        made["flags"] = dice.choice((["primary"], ["primary"], ["boot", "primary"], ["boot"], []))
    if dice.random() < 0.4:
        made["type"] = dice.choice(("0x83", "83", "0x82", "0x0b")) if kind == "mbr" else \
            dice.choice(("8300", "EF00", "ef02", "8200", "8E00"))
    return made


@pytest.mark.family("block device, generated")
@pytest.mark.contract("C-214", "C-215", "C-216", "C-217", "C-218")
def test_generated_configurations(family: Family, python_oracle: PythonOracle) -> None:
    dice = random.Random(10)
    texts = {f"generated {number}": yaml.safe_dump(tree(dice), sort_keys=False) for number in range(300)}
    compare_texts(family, python_oracle, texts)
    family.finish()
