"""Which mode of assembly a build takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import blockdev, paths
from pydib.blockdev import Graph
from pydib.build import mode
from pydib.build.mode import Assembly, decide_assembly
from pydib.element.hooks import merge
from pydib.element.resolve import resolve
from pydib.element.shelf import find_elements
from pydib.errors import RecipeError
from pydib.phase.phases import load_phases

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "blockdev"
SMALL_SECTORS = "- local_loop: {name: image0, block_size: 4096, mkfs: {name: mkfs_root, mount: {mount_point: /}}}\n"
OPTIONS = "- local_loop: {name: image0, mkfs: {type: ext4, label: x, opts: '%s', mount: {mount_point: /}}}\n"


def decide(*shelves: Path, elements: tuple[str, ...], wish: str = "auto", graph: Graph | None = None) -> Assembly:
    resolution = resolve(elements, find_elements(list(shelves)))
    return decide_assembly(wish, graph or blockdev.load(None), merge(resolution.elements),
                           load_phases([paths.phases_dir()]))


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "os").mkdir()
    (tmp_path / "os/element-provides").write_text("operating-system\n")
    return tmp_path


def script(shelf: Path, name: str, text: str) -> None:
    path = shelf / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(0o755)


def test_our_own_images_are_made_from_the_tree() -> None:
    own = paths.elements_dir()
    for disk in ("mbr", "gpt"):
        found = decide(own, elements=("debian-minimal", "vm", f"block-device-{disk}", "base", "devuser", "growroot"))
        assert found == Assembly(mode="tree", reason="no script needs a block device")


@pytest.mark.parametrize(("name", "text", "word"), [
    ("finalise.d/50-boot", 'dd if=x of="$IMAGE_BLOCK_DEVICE"', "IMAGE_BLOCK_DEVICE"),
    ("finalise.d/50-boot", 'eval declare -A d=( $IMAGE_BLOCK_DEVICES )', "IMAGE_BLOCK_DEVICES"),
    ("block-device.d/10-own", "losetup --show -f x", "losetup"),
    ("pre-finalise.d/10-ask", "$_LIB/dib-block-device.py getval image-path", "dib-block-device"),
    ("pre-finalise.d/10-map", "kpartx -av x", "kpartx"),
    ("cleanup.d/10-late", "blkid /dev/loop0", "blkid"),
    ("finalise.d/50-menu", "grub2-mkconfig -o /boot/grub2/grub.cfg", "grub2-mkconfig"),
    ("finalise.d/50-menu", "update-grub", "update-grub"),
    ("finalise.d/50-last", "rm -f x; losetup -d x", "losetup"),
    ("finalise.d/50-swap", "fallocate -l 1G /swapfile", "fallocate"),
    ("cleanup.d/50-flag", 'chattr +i "$TARGET_ROOT/etc/resolv.conf"', "chattr"),
    ("helpers/tool", "grub --device=$IMAGE_BLOCK_DEVICE", "IMAGE_BLOCK_DEVICE"),
])
def test_a_script_that_means_the_block_device_gets_one(shelf: Path, name: str, text: str, word: str) -> None:
    script(shelf, f"loader/{name}", text)
    found = decide(shelf, elements=("os", "loader"))
    assert found == Assembly(mode="device", reason=f"{name} of element loader uses {word}")


@pytest.mark.parametrize(("name", "text"), [
    ("README.rst", "Sets IMAGE_BLOCK_DEVICE aside."),
    ("finalise.d/50-comment", "# IMAGE_BLOCK_DEVICE is not used here"),
    ("finalise.d/50-tidy", "    sudo rm -f /dev/mapper/loop*_part1"),
    ("install.d/50-early", "update-grub || true; blkid"),
    ("finalise.d/50-like-it", "MY_IMAGE_BLOCK_DEVICE_X=1; echo relosetup"),
    ("static/usr/sbin/tool", "blkid"),
    ("finalise.d/50-binary", "\0IMAGE_BLOCK_DEVICE"),
    ("root.d/50-early", "echo ${IMAGE_BLOCK_DEVICE:-none}"),
])
def test_other_scripts_do_without(shelf: Path, name: str, text: str) -> None:
    script(shelf, f"harmless/{name}", text)
    assert decide(shelf, elements=("os", "harmless")).mode == "tree"


def test_an_element_that_gets_the_image_as_a_file_needs_no_device(shelf: Path) -> None:
    script(shelf, "loader/finalise.d/50-boot", 'install ${IMAGE_BLOCK_DEVICE:-}')
    script(shelf, "loader/image-file.d/50-boot", 'dd of="$IMAGE_FILE"')
    assert decide(shelf, elements=("os", "loader")).mode == "tree"
    script(shelf, "another/finalise.d/51-boot", "update-grub")
    assert decide(shelf, elements=("os", "loader", "another")).reason == \
        "finalise.d/51-boot of element another uses update-grub"


@pytest.mark.parametrize(("text", "reason"), [
    ((FIXTURES / "lvm.yaml").read_text(), "LVM"),
    (SMALL_SECTORS, "sectors of 4096 bytes"),
    (OPTIONS % "-d /elsewhere", "have -d"),
    (OPTIONS % "-E offset=512", "have offset=512"),
    ("- local_loop: {name: image0, mkfs: {type: jfs, label: x, mount: {mount_point: /}}}\n", "jfs"),
])
def test_what_only_the_kernel_can_make_is_made_by_it(shelf: Path, text: str, reason: str) -> None:
    graph = blockdev.load(text)
    found = decide(shelf, elements=("os",), graph=graph)
    assert found.mode == "device"
    assert reason in found.reason
    with pytest.raises(RecipeError, match="cannot be made from the tree") as caught:
        decide(shelf, elements=("os",), graph=graph, wish="tree")
    assert reason in str(caught.value)
    assert "--assemble device" in caught.value.hint


@pytest.mark.parametrize("fs_type", ["xfs", "btrfs"])
def test_a_user_mode_linux_fills_what_no_tool_can(shelf: Path, monkeypatch: pytest.MonkeyPatch, fs_type: str) -> None:
    graph = blockdev.load(f"- local_loop: {{name: image0, mkfs: {{type: {fs_type}, label: x, mount: "
                          "{mount_point: /}}}\n")
    monkeypatch.setattr(mode, "find_tool", lambda name: "/usr/bin/linux.uml")
    assert decide(shelf, elements=("os",), graph=graph).mode == "tree"
    monkeypatch.setattr(mode, "find_tool", lambda name: None)
    found = decide(shelf, elements=("os",), graph=graph)
    assert found.mode == "device"
    assert "not installed; Debian's package is user-mode-linux" in found.reason


def test_a_user_decides(shelf: Path) -> None:
    script(shelf, "loader/finalise.d/50-boot", 'test -b $IMAGE_BLOCK_DEVICE')
    assert decide(shelf, elements=("os",), wish="device") == Assembly(mode="device", reason="it was asked for")
    found = decide(shelf, elements=("os", "loader"), wish="tree")
    assert found.mode == "tree"
    assert "finalise.d/50-boot of element loader uses IMAGE_BLOCK_DEVICE" in found.warning
    assert decide(shelf, elements=("os",), wish="tree").warning == ""
