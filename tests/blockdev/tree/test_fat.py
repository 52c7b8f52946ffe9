"""FAT from a tree."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pydib.blockdev.filesystem import mkfs_command
from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.tree.fat import fill_fat, problems
from pydib.errors import BlockDeviceError
from pydib.host.command import find_tool, run
from pydib.sizes import MIB

NODE = Mkfs(name="esp", base="ESP", type="vfat", label="ESP", uuid="1234-ABCD")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "EFI/BOOT").mkdir(parents=True)
    (made / "EFI/debian").mkdir()
    (made / "EFI/BOOT/BOOTX64.EFI").write_bytes(os.urandom(100_000))
    (made / "EFI/debian/grub.cfg").write_text("configfile\n")
    (made / "EFI/a long name, with blanks.efi").write_text("long")
    (made / "-option").write_text("dash")
    (made / ".hidden").write_text("hidden")
    os.utime(made / "EFI/debian/grub.cfg", (1_500_000_000, 1_500_000_000))
    return made


@pytest.fixture
def image(tmp_path: Path) -> Path:
    for tool in ("mkfs.vfat", "mcopy", "fsck.fat"):
        if not find_tool(tool):
            pytest.skip(f"{tool} is not installed")
    path = tmp_path / "esp"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    run(*mkfs_command(NODE, str(path), ()))
    return path


def test_everything_arrives_with_name_content_and_time(tree: Path, image: Path, tmp_path: Path) -> None:
    fill_fat(NODE, image, tree)
    run("fsck.fat", "-n", image)
    out = tmp_path / "out"
    out.mkdir()
    run("mcopy", "-i", image, "-s", "-p", "-m", "::/*", out,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.environ["PATH"] + ":/usr/bin"})
    files = {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    assert (out / "EFI/debian/grub.cfg").stat().st_mtime == 1_500_000_000
    assert "1234-ABCD" in run("blkid", "--probe", image)


def test_an_empty_folder_is_an_empty_filesystem(image: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fill_fat(NODE, image, tmp_path / "empty")
    run("fsck.fat", "-n", image)


def break_it(tree: Path, how: str) -> None:
    if how == "link":
        (tree / "EFI/x").symlink_to("y")
    elif how == "hard link":
        (tree / "EFI/x").hardlink_to(tree / "-option")
    elif how == "pipe":
        os.mkfifo(tree / "EFI/x")
    elif how == "case":
        (tree / "efi").mkdir()
    elif how == "large":
        with (tree / "EFI/x").open("wb") as file:
            file.truncate(2**32)
    else:
        (tree / "EFI" / how).write_text("")


@pytest.mark.parametrize(("how", "problem"), [
    ("link", "/EFI/x is a symbolic link"), ("pipe", "/EFI/x is a device, pipe or socket"),
    ("hard link", "has hard links"), ("large", "/EFI/x has 4 GiB or more"), ("case", "/efi has the name of EFI"),
    ("what?", "/EFI/what? has such a name"), ("dot.", "has such a name"), ("line\nbreak", "has such a name"),
    ("ümläut", "has such a name"),
])
def test_what_fat_cannot_hold_is_refused_before_anything_is_written(
        tree: Path, image: Path, how: str, problem: str) -> None:
    assert list(problems(tree)) == []
    break_it(tree, how)
    before = image.read_bytes()
    with pytest.raises(BlockDeviceError) as caught:
        fill_fat(NODE, image, tree)
    assert problem in str(caught.value)
    assert "which cannot be put on FAT" in str(caught.value)
    assert image.read_bytes() == before


def test_devices_are_seen_as_such(tree: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(tree / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert list(problems(tree)) == ["/null is a device, pipe or socket"]
