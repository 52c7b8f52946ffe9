"""Disk images, unpacked into the target."""

import gzip
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

TOOL = "bin/extract-image"
TABLE = "2048 2048\n4096 4096\n8192 2048"
TREES = {1 << 20: {"EFI/BOOT/x.efi": "efi"}, 2 << 20: {"vmlinuz-6": "kernel"},
         4 << 20: {"etc/hostname": "image", "usr/bin/true": ""}}


@pytest.fixture
def extract(fake_root, element, commands, tmp_path):
    """Run the tool over an image whose file systems are folders."""
    fake_root.like("bare")
    for offset, files in TREES.items():
        for name, text in files.items():
            (tmp_path / str(offset) / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / str(offset) / name).write_text(text)
    commands.on("qemu-img").does('cp "${@: -2:1}" "${@: -1}"')
    commands.on("partx").prints(TABLE)
    commands.on("blkid").prints("ext4")
    commands.on("mount").does(f'o=${{2##*offset=}}; cp -r "{tmp_path}/${{o%%,*}}/." "${{@: -1}}"')
    under_test = element("sysprep")
    cache = tmp_path / "cache"
    image = tmp_path / "disk.img"
    image.write_text("image")

    def run(file=image, address=None, **env):
        return under_test.run_with(TOOL, "disk", "disk.tar", address or f"file://{file}", str(file), side="host",
                                   env={"DIB_IMAGE_CACHE": str(cache), "DIB_LOCKFILES": str(cache),
                                        "TARGET_ROOT": str(fake_root.path("/")), **env})

    run.hooks = under_test.hooks
    return run


def test_every_file_system_goes_to_its_place(extract, fake_root):
    run = extract()
    assert run.ok, run.output
    assert fake_root.read("/etc/hostname") == "image"
    assert fake_root.read("/boot/vmlinuz-6") == "kernel" and fake_root.read("/boot/efi/EFI/BOOT/x.efi") == "efi"
    assert run.called("mount", "-o", "ro,loop,offset=4194304,sizelimit=1048576,noload")
    assert not extract().called("qemu-img")


@pytest.mark.parametrize(("kind", "options"), [("xfs", "nouuid,norecovery"), ("btrfs", "subvol=root")])
def test_other_file_systems(extract, commands, kind, options):
    commands.on("blkid").prints(kind)
    run = extract()
    assert run.ok and options in " ".join(run.lines)


def test_an_image_without_partitions(extract, commands, tmp_path):
    commands.on("partx").exits(1)
    os.rename(tmp_path / str(4 << 20), tmp_path / "0")
    assert extract().ok


def test_packed_images_are_unpacked_first(extract, tmp_path):
    packed = tmp_path / "disk.img.gz"
    packed.write_bytes(gzip.compress(b"image"))
    assert extract(packed).ok
    subprocess.run(["xz", "-k", tmp_path / "disk.img"], check=True)
    (tmp_path / "cache/disk.tar").unlink()
    assert extract(tmp_path / "disk.img.xz").ok


def test_an_address_is_fetched_and_once_more_when_that_fails(extract, tmp_path):
    tool = extract.hooks / "bin/cache-url"
    tool.write_text('#!/bin/bash\necho "cache-url $1"\n[ "$1" = -f ]\n')
    tool.chmod(0o755)
    run = extract(address="http://a.test/disk.img")
    assert run.ok and "cache-url http://a.test/disk.img\ncache-url -f\n" in run.output
    assert "cache-url" not in extract(address="http://a.test/disk.img", DIB_OFFLINE="1").output


def test_what_is_no_system_is_told(extract, commands):
    commands.on("blkid").prints("swap")
    run = extract()
    assert run.exit_code == 1 and "no root file system in disk" in run.output


def test_wrong_calls_are_told(fake_root, element):
    fake_root.like("bare")
    run = element("sysprep").run_with(TOOL, "disk", side="host")
    assert run.exit_code == 1 and "usage: extract-image" in run.output


def sectors(mib: int) -> int:
    return mib * 2048


@pytest.mark.machine
@pytest.mark.proves("sysprep", how="real run")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loop devices and mounts")
def test_a_real_disk_image(element, fake_root, tmp_path):
    """With this kernel's loop devices: a partitioned qcow2 with /boot of its own."""
    for path, text in {"root/etc/hostname": "real", "root/usr/x": "", "root/boot/x": "", "boot/vmlinuz-6": "k"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    raw = tmp_path / "raw"
    subprocess.run(["truncate", "-s", "24M", raw], check=True)
    subprocess.run(["sfdisk", "--quiet", raw], input="label: gpt\nsize=8M\nsize=8M\n", text=True, check=True)
    for name, first in (("boot", sectors(1)), ("root", sectors(9))):
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tmp_path / name, "-E", f"offset={first * 512}", raw, "8M"],
                       check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, tmp_path / "disk.qcow2"], check=True)
    target = tmp_path / "target"
    target.mkdir()
    tools = element("sysprep").hooks / TOOL
    env = {**os.environ, "DIB_IMAGE_CACHE": str(tmp_path / "cache"), "DIB_LOCKFILES": str(tmp_path / "cache"),
           "TARGET_ROOT": str(target), "TMP_HOOKS_PATH": str(tools.parents[1]),
           "PATH": f"{Path(__file__).parents[3] / 'pydib/lib/tools'}:{os.environ['PATH']}"}
    subprocess.run([tools, "disk", "disk.tar", f"file://{tmp_path}/disk.qcow2", str(tmp_path / "disk.qcow2")], env=env,
                   check=True)
    assert (target / "etc/hostname").read_text() == "real"
    assert (target / "boot/vmlinuz-6").read_text() == "k"
    with tarfile.open(tmp_path / "cache/disk.tar") as kept:
        assert "./boot/vmlinuz-6" in kept.getnames()
