"""Make an output of a tree: `python -m benchmarks.assembly MODE FORMAT TREE FOLDER`.

Of the modes `tree` and `device` are pydib's two; `tools` is what nobody can be faster than: sfdisk and mke2fs -d
alone, and qemu-img on all cores; `dib` is DIB's way: a loop device, mkfs, mount, cp, and qemu-img on one core. The
formats are raw, qcow2 (compressed with zstd, by `dib` with zlib, as it has no other), zlib (qcow2 as older clouds read
it), vmdk, tar, tgz and squashfs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydib import blockdev
from pydib.image.convert import convert
from pydib.image.pack import pack
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


def main(mode: str, kind: str, tree: Path, folder: Path) -> None:
    """Make the output in `folder`."""
    made = folder / f"image0.{kind}"
    if kind in ("tar", "tgz", "squashfs"):
        _pack(mode, kind, tree, made)
        return
    make_raw(mode, tree, folder)
    raw = folder / "image0.raw"
    if mode == "dib" and kind != "raw":
        subprocess.run(["qemu-img", "convert", *([] if kind == "vmdk" else ["-c"]), "-f", "raw", "-O",
                        "vmdk" if kind == "vmdk" else "qcow2", raw, made], check=True)
    elif mode == "tools" and kind == "qcow2":
        to_qcow2(raw, made)
    elif kind in ("qcow2", "zlib"):
        convert(raw, made, kind="qcow2", compress=True, compression="zlib" if kind == "zlib" else "zstd")
    elif kind != "raw":
        convert(raw, made, kind=kind, compress=False)


def _pack(mode: str, kind: str, tree: Path, made: Path) -> None:
    """An archive, by pydib, else by the tool as DIB calls it."""
    if mode == "tree":
        pack(tree, made, kind=kind)
    elif kind == "squashfs":
        subprocess.run(["mksquashfs", tree, made, "-comp", "xz", "-quiet", "-no-progress"], check=True)
    else:
        packed = ["--use-compress-program=gzip -9"] if kind == "tgz" else []
        subprocess.run(["tar", "--create", "--file", made, *packed, "--directory", tree, "."], check=True)


def to_qcow2(raw: Path, made: Path) -> None:
    """By qemu-img, on all cores, in any order."""
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd",
                    "-m", "16", "-W", raw, made], check=True)


def make_raw(mode: str, tree: Path, folder: Path) -> None:
    """Make the raw disk, for a moment, as a build does."""
    graph = blockdev.load(LAYOUT)
    size = KIB * image_size_kib(tree_kib=tree_size_kib(tree), given_gib=None, extra_mib=None, journal_mib=64,
                                ext4_root=True, efi=False)
    if mode in ("tools", "dib"):
        (tools if mode == "tools" else dibs_way)(tree, folder / "image0.raw", size)
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


def dibs_way(tree: Path, image: Path, size_bytes: int) -> None:
    """The partition as a loop device, formatted and mounted; cp puts the tree there."""
    with image.open("xb") as file:
        file.truncate(size_bytes)
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", image], input=b"label: gpt\nsize=8MiB\nsize=+\n", check=True)
    attached = subprocess.run(["/usr/sbin/losetup", "--show", "--find", "--offset", str(9 * MIB), "--sizelimit",
                               str(size_bytes - 10 * MIB), image], check=True, text=True, stdout=subprocess.PIPE)
    device, point = attached.stdout.strip(), image.with_name("mnt")
    point.mkdir()
    try:
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-i", "4096", "-J", "size=64", device], check=True)
        subprocess.run(["mount", device, point], check=True)
        subprocess.run(["cp", "--recursive", "--archive", f"{tree}/.", point], check=True)
        subprocess.run(["umount", point], check=True)
    finally:
        subprocess.run(["/usr/sbin/losetup", "--detach", device], check=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
