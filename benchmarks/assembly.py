"""Make a disk of a tree: `python -m benchmarks.assembly MODE TREE FOLDER`.

`tree` and `device` are pydib's two modes; `tools` is what nobody can be faster than: sfdisk and mke2fs -d alone. Modes
with `-qcow2` behind them go on to a qcow2 compressed with zstd, pydib as it does, the tools by qemu-img on all cores.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydib import blockdev
from pydib.image.convert import convert
from pydib.runner.target import copy_tree, tree_size_kib
from pydib.sizes import KIB, MIB, image_size_kib

MOMENT = 1_577_836_800
LAYOUT = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: BSP, type: EF02, size: 8MiB}
      - {name: root, size: 100%, mkfs: {mount: {mount_point: /, fstab: {}}}}
"""


def main(mode: str, tree: Path, folder: Path) -> None:
    """Make the disk in `folder`."""
    mode, _, then = mode.partition("-")
    make_raw(mode, tree, folder)
    raw, made = folder / "image0.raw", folder / "image0.qcow2"
    if then and mode == "tools":
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd",
                        "-m", "16", "-W", raw, made], check=True)
    elif then:
        convert(raw, made, kind="qcow2", compress=True, compression="zstd")


def make_raw(mode: str, tree: Path, folder: Path) -> None:
    """Make the raw disk, for a moment, as a build does."""
    graph = blockdev.load(LAYOUT)
    size = KIB * image_size_kib(tree_kib=tree_size_kib(tree), given_gib=None, extra_mib=None, journal_mib=64,
                                ext4_root=True, efi=False)
    if mode == "tools":
        tools(tree, folder / "image0.raw", size)
        return
    blockdev.prepare_tree(graph, tree)
    if mode == "tree":
        (folder / "work").mkdir()
        blockdev.assemble_tree(graph, tree=tree, image_dir=folder, work_dir=folder / "work", size_bytes=size,
                               report=lambda event: None, seed="benchmark", moment=MOMENT)
        return
    with blockdev.assembled(graph, image_dir=folder, size_bytes=size, mount_base=folder / "mnt",
                            report=lambda event: None):
        copy_tree(tree, folder / "mnt")


def tools(tree: Path, image: Path, size_bytes: int) -> None:
    """A table and a filesystem by the tools themselves."""
    with image.open("xb") as file:
        file.truncate(size_bytes)
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", image], input=b"label: gpt\nsize=8MiB\nsize=+\n", check=True)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-i", "4096", "-J", "size=64", "-d", tree, "-E",
                    f"offset={9 * MIB}", image, f"{(size_bytes - 10 * MIB) // KIB}k"], check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
