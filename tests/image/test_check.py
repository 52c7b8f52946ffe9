"""What an output needs is asked beforehand (contract C-018)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.errors import ImageError, RecipeError, ToolMissing
from pydib.host.command import find_tool
from pydib.image import check
from pydib.recipe import Recipe


def recipe(folder: Path, *, docker_target: str = "", **environment: str) -> Recipe:
    return Recipe(elements=("tiny-os",), environment=environment, cwd=folder, arch="amd64", image_name="disk",
                  image_cache=folder, docker_target=docker_target)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("pydib.host.command.SYSTEM_DIRECTORIES", ())


@pytest.mark.contract("C-018")
@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(("kind", "tool", "package"), [
    ("qcow2", "qemu-img", "qemu-utils"), ("vhd", "qemu-img", "qemu-utils"), ("vmdk", "qemu-img", "qemu-utils"),
    ("squashfs", "mksquashfs", "squashfs-tools"), ("docker", "tar", "tar"), ("aci", "tar", "tar"),
    ("tgz", "tar", "tar"),
])
def test_a_missing_program_is_named_with_its_package(tmp_path: Path, kind: str, tool: str, package: str) -> None:
    with pytest.raises(ToolMissing, match=f"the program {tool} is not installed; it makes {kind} outputs") as caught:
        check.check_output(recipe(tmp_path, docker_target="x"), kind)
    assert caught.value.hint == f"install it: apt-get install {package}"


@pytest.mark.usefixtures("nothing_installed")
def test_a_raw_image_needs_no_program(tmp_path: Path) -> None:
    check.check_output(recipe(tmp_path), "raw")


@pytest.mark.parametrize("name", ["", "-x"])
def test_docker_needs_a_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "require_tool", lambda name, why="": name)
    with pytest.raises(RecipeError) as caught:
        check.check_output(recipe(tmp_path, docker_target=name), "docker")
    assert "--docker-target" in caught.value.hint


def test_the_manifest_is_found_from_the_caller_s_directory(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{}")
    assert check.aci_manifest(recipe(tmp_path, ACI_MANIFEST="m.json")) == tmp_path / "m.json"
    assert check.aci_manifest(recipe(tmp_path, ACI_MANIFEST=str(tmp_path / "m.json"))) == tmp_path / "m.json"
    assert check.aci_manifest(recipe(tmp_path)) is None
    with pytest.raises(RecipeError, match="manifest is not there"):
        check.aci_manifest(recipe(tmp_path, ACI_MANIFEST="."))


def test_a_format_that_qemu_img_does_not_know(tmp_path: Path) -> None:
    if find_tool("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    check.check_output(recipe(tmp_path), "vmdk")
    with pytest.raises(RecipeError, match="'vhdd' is no image type") as caught:
        check.check_output(recipe(tmp_path), "vhdd")
    assert caught.value.hint == "did you mean vhd?"


def test_a_directory_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").mkdir()
    with pytest.raises(ImageError, match="a directory has the name of an output"):
        check.check_output(recipe(tmp_path), "raw")
