"""The same tree made into disks in both modes: every entry of every filesystem is the same."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pydib import blockdev
from pydib.blockdev import Graph
from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.tree.assemble import mount_points
from pydib.host.command import run
from pydib.runner.target import copy_tree
from pydib.sizes import MIB
from tests import finished_disk
from tests.blockdev.tree import nasty
from tests.finished_disk import FILLED_BY_KERNEL, Found, cut_out, filesystems, shown
from tests.ordinary_user import User, ordinary_user

pytestmark = pytest.mark.machine
SIZE = 700 * MIB
TYPES = ["ext4", *(pytest.param(name, marks=FILLED_BY_KERNEL) for name in ("xfs", "btrfs"))]
TABLES = {
    "none": "- local_loop: {{name: image0, mkfs: {{name: mkfs_root, type: {0}, mount: {{mount_point: /, "
            "fstab: {{}}}}}}}}\n",
    "mbr": """
- local_loop: {{name: image0}}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {{name: root, flags: [boot, primary], size: 100%, mkfs: {{type: {0}, mount: {{mount_point: /, fstab: {{}}}}}}}}
""",
    "mbr logical": """
- local_loop: {{name: image0}}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {{name: first, flags: [primary], size: 40MiB, mkfs: {{type: swap, mount: {{mount_point: none, fstab: {{}}}}}}}}
      - {{name: root, size: 100%, mkfs: {{type: {0}, mount: {{mount_point: /, fstab: {{}}}}}}}}
""",
    "gpt": """
- local_loop: {{name: image0}}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {{name: BSP, type: EF02, size: 8MiB}}
      - {{name: root, size: 100%, mkfs: {{type: {0}, mount: {{mount_point: /, fstab: {{}}}}}}}}
""",
}
SEVERAL = """
- local_loop: {{name: image0}}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {{name: BSP, type: EF02, size: 2MiB}}
      - {{name: boot, size: 60MiB, mkfs: {{type: ext2, mount: {{mount_point: /boot, fstab: {{}}}}}}}}
      - {{name: swap, type: '8200', size: 30MiB, mkfs: {{type: swap, mount: {{mount_point: none, fstab: {{}}}}}}}}
      - {{name: root, size: 300MiB, mkfs: {{type: {0}, label: top, mount: {{mount_point: /, fstab: {{}}}}}}}}
      - {{name: spare, size: 20MiB, mkfs: {{type: vfat, label: spare}}}}
      - {{name: var, size: 100%, mkfs: {{type: ext3, mount: {{mount_point: /var, fstab: {{}}}}}}}}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nasty tree, with what a build adds before it makes the disk."""
    made = tmp_path_factory.mktemp("nasty") / "tree"
    made.mkdir()
    nasty.fill(made)
    return made


class Disks:
    """One configuration and one tree, made into a disk in either mode."""

    def __init__(self, place: Path, tree: Path, text: str) -> None:
        self.graph: Graph = blockdev.load(text)
        self.tree, self.place = tree, place
        blockdev.prepare_tree(self.graph, tree)
        for name in ("tree-mode", "device-mode", "work", "mnt"):
            (place / name).mkdir()

    def by_tree(self) -> Path:
        return blockdev.assemble_tree(self.graph, tree=self.tree, image_dir=self.place / "tree-mode",
                                      work_dir=self.place / "work", size_bytes=SIZE, report=print)

    def by_device(self) -> Path:
        with blockdev.assembled(self.graph, image_dir=self.place / "device-mode", size_bytes=SIZE,
                                mount_base=self.place / "mnt", report=print) as disk:
            copy_tree(self.tree, self.place / "mnt")
        return disk.main_image

    @contextmanager
    def filesystems(self, image: Path) -> Iterator[dict[str, Path]]:
        """Each filesystem mounted by itself, read-only, by its mount point."""
        with ExitStack() as stack:
            yield {found.mount.mount_point: stack.enter_context(
                       shown(on_disk(self, image, found.filesystem), self.place / f"shown{number}"))
                   for number, found in enumerate(self.graph.filesystems()) if found.filesystem.type != "swap"}


def check_clean(disks: Disks, image: Path) -> None:
    """The checker of each filesystem finds nothing."""
    for found in disks.graph.filesystems():
        finished_disk.check_clean(on_disk(disks, image, found.filesystem))


def on_disk(disks: Disks, image: Path, filesystem: Mkfs) -> Found:
    """Where the disk of that graph has the filesystem."""
    extent = disks.graph.layouts(SIZE)["image0"].extents[filesystem.base]
    return Found(disk=image, type=filesystem.type, label=filesystem.label, offset_bytes=extent.offset_bytes,
                 size_bytes=extent.size_bytes)


def superblock(image: Path, offset: int) -> dict[str, str]:
    """What mke2fs decided, without what is chance or time."""
    text = subprocess.run(["dumpe2fs", "-h", f"{image}?offset={offset}"], capture_output=True, text=True,
                          check=True).stdout
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    changing = ("UUID", "time", "Hash Seed", "checked", "created", "writes", "Mount count", "Last mounted", "Free",
                "Checksum", "checksum", "Lifetime", "Journal sequence", "Filesystem state", "Journal start", "Overhead",
                "Journal features", "Next check")
    return {name: value.strip() for name, value in found.items() if not any(word in name for word in changing)}


def check_equal(disks: Disks) -> None:
    images = disks.by_device(), disks.by_tree()
    seen = []
    for image in images:
        with disks.filesystems(image) as shown:
            seen.append({point: nasty.entries(place) for point, place in shown.items()})
    points = mount_points(disks.graph)
    assert set(seen[0]) == set(seen[1]) == set(points)
    hidden = {point: {str(Path(other).relative_to(point)) for other in points if other != point
                      and Path(other).is_relative_to(point)} for point in points}
    for point in points:
        device, made = ({name: facts for name, facts in one[point].items() if name not in hidden[point]}
                        for one in seen)
        differing = {name: (device.get(name), made.get(name)) for name in device.keys() | made.keys()
                     if device.get(name) != made.get(name)}
        for name in [name for name in differing if not nasty.is_line(name)]:
            one, other = differing.pop(name)
            assert one is not None
            assert other is not None
            assert (*one[:3], one[3] // 10**9, *one[4:]) == (*other[:3], other[3] // 10**9, *other[4:])
        assert not differing, "\n".join(f"{name!r}:\n  {pair[0]}\n  {pair[1]}" for name, pair in differing.items())
    sizes = [image.stat().st_blocks * 512 for image in images]
    assert images[0].stat().st_size == images[1].stat().st_size
    assert sizes[1] < sizes[0] + 24 * MIB, f"not sparse: {sizes}"
    assert list((disks.place / "work").iterdir()) == []


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fs_type", TYPES)
def test_one_filesystem_on_every_table(tmp_path: Path, tree: Path, fs_type: str, table: str) -> None:
    disks = Disks(tmp_path, tree, TABLES[table].format(fs_type))
    check_equal(disks)
    check_clean(disks, tmp_path / "tree-mode/image0.raw")


@pytest.mark.parametrize("fs_type", ["ext2", "ext3"])
def test_every_filesystem(tmp_path: Path, tree: Path, fs_type: str) -> None:
    disks = Disks(tmp_path, tree, TABLES["gpt"].format(fs_type))
    check_equal(disks)
    check_clean(disks, tmp_path / "tree-mode/image0.raw")


def test_several_filesystems_are_split_by_their_mount_points(tmp_path: Path, tree: Path) -> None:
    disks = Disks(tmp_path, tree, SEVERAL.format("ext4"))
    check_equal(disks)
    image = tmp_path / "tree-mode/image0.raw"
    check_clean(disks, image)
    extents = disks.graph.layouts(SIZE)["image0"].extents
    found = {name: run("blkid", "--probe", "--output", "value", "--match-tag", "LABEL", "--offset",
                       str(extents[name].offset_bytes), image).strip() for name in ("boot", "swap", "root", "spare")}
    assert found == {"boot": "mkfs_boot", "swap": "mkfs_swap", "root": "top", "spare": "SPARE"}


@pytest.mark.parametrize("table", ["none", "gpt"])
def test_the_filesystem_itself_is_as_device_mode_makes_it(tmp_path: Path, tree: Path, table: str) -> None:
    disks = Disks(tmp_path, tree, TABLES[table].format("ext4"))
    extent = disks.graph.layouts(SIZE)["image0"].extents["image0" if table == "none" else "root"]
    device, made = (superblock(image, extent.offset_bytes) for image in (disks.by_device(), disks.by_tree()))
    assert made == device
    assert "Inode count" in made
    assert "Total journal size" in made


EFI = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: ESP, type: EF00, size: 100MiB, mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: {}}}}
      - {name: BSP, type: EF02, size: 8MiB}
      - {name: root, size: 100%, mkfs: {type: ext4, mount: {mount_point: /, fstab: {}}}}
"""


def test_an_efi_system_partition_needs_no_vfat_in_the_kernel(tmp_path: Path, tree: Path) -> None:
    disks = Disks(tmp_path, tree, EFI)
    image = disks.by_tree()
    check_clean(disks, image)
    extents = disks.graph.layouts(SIZE)["image0"].extents
    esp = cut_out(next(found for found in filesystems(image) if found.type == "vfat"))
    assert run("mtype", "-i", esp, "::/EFI/loader.efi") == "efi"
    assert "efi" in run("debugfs", "-R", "ls -p /boot", f"{image}?offset={extents['root'].offset_bytes}")
    assert "EFI" not in run("debugfs", "-R", "ls -p /boot/efi", f"{image}?offset={extents['root'].offset_bytes}")


AS_A_USER = """
import pickle, subprocess, sys
from pathlib import Path
for device in {line.split()[0] for line in open("/proc/mounts") if line.startswith("/dev/loop")}:
    # mkfs.btrfs would look into each; a build has a /dev of its own, without them
    subprocess.run(["mount", "--bind", "/dev/null", device], check=True)
sys.path.append(str(Path.cwd()))
import nasty
from pydib import blockdev
for name in ("tree", "work", "images"):
    Path(name).mkdir()
tree = Path("tree").absolute()
nasty.fill(tree, special=False)
graph = blockdev.load(sys.argv[1])
blockdev.prepare_tree(graph, tree)
image = blockdev.assemble_tree(graph, tree=tree, image_dir=Path("images").absolute(), work_dir=Path("work").absolute(),
                               size_bytes=int(sys.argv[2]), report=print)
Path("entries").write_bytes(pickle.dumps(nasty.entries(tree)))
"""


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with ordinary_user() as made:
        yield made


@pytest.mark.parametrize("fs_type", TYPES)
def test_an_ordinary_user_s_tree_is_the_same_in_its_image(tmp_path: Path, user: User, fs_type: str) -> None:
    """In a user namespace, where root may mount no disk, make no device, and owns nothing of the host's."""
    place = user.home / fs_type
    place.mkdir()
    os.chown(place, user.number, -1)
    shutil.copy(nasty.__file__, place)
    text = TABLES["gpt"].format(fs_type)
    inside = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", *user.python(AS_A_USER), text, str(SIZE)]
    done = subprocess.run(user.argv(*inside, cwd=place), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    disks = Disks.__new__(Disks)
    disks.graph, disks.place = blockdev.load(text), tmp_path
    with disks.filesystems(place / "images/image0.raw") as shown:
        made, source = nasty.entries(shown["/"]), pickle.loads((place / "entries").read_bytes())
    assert {name: facts for name, facts in made.items() if nasty.is_line(name)} == {
        name: facts for name, facts in source.items() if nasty.is_line(name)}
    assert any(name == "security.capability" for name, _ in made["capable"][5])
    check_clean(disks, place / "images/image0.raw")
