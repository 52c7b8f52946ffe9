"""Options and environment, and the recipe that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pydib import paths
from pydib.cli.drop_in import make_recipe, parse
from pydib.errors import RecipeError
from pydib.recipe import Recipe, host_arch


def recipe(*arguments: str, **environment: str) -> Recipe:
    given, elements = parse(arguments)
    return make_recipe(given, elements, {"HOME": "/home/me", **environment}, arguments=arguments)


@pytest.mark.parametrize(("arguments", "field", "value"), [
    (["x", "-a", "arm64"], "arch", "arm64"),
    (["x", "-o", "/tmp/a"], "image_name", "/tmp/a"),
    (["x", "-t", "raw,qcow2"], "types", ("raw", "qcow2")),
    (["x", "-u"], "compress", False),
    (["x", "-n"], "skip_base", True),
    (["x", "-x", "-x"], "trace", 2),
    (["x", "-p", "a,b", "-p", "c"], "packages", ("a", "b", "c")),
    (["x", "-p", ""], "packages", ()),
    (["x", "--checksum"], "checksums", ("md5", "sha256")),
    (["x", "--image-s", "5"], "image_size_gib", 5.0),
    (["x", "--image-size=2.5"], "image_size_gib", 2.5),
    (["x", "--image-extra-size", "100"], "image_extra_size_mib", 100.0),
    (["x", "--no-tmp"], "tmpfs", False),
    (["x", "--min-tmpfs", "4"], "min_tmpfs_gib", 4),
    (["x", "--offline"], "offline", True),
    (["x", "--max-online-resize", "1G"], "max_online_resize", "1G"),
    (["x", "--mkfs-options", "-O x"], "mkfs_options", "-O x"),
    (["x", "--mkfs-journal-size", "16"], "journal_size_mib", 16),
    (["x", "--qemu-img-options", "compat=1.1"], "qemu_img_options", "compat=1.1"),
    (["x", "--root-label", "r"], "root_label", "r"),
    (["x", "--install-type", "package"], "install_type", "package"),
    (["x", "--docker-target", "t"], "docker_target", "t"),
    (["x", "--ramdisk-element", "dracut"], "ramdisk_element", "dracut"),
    (["x", "--logfile", "l"], "logfile", "l"),
    (["x", "--logfile", "l"], "quiet", True),
    (["x", "--image-cache", "/c"], "image_cache", Path("/c")),
    (["vm", "-u", "debian", "--", "-odd"], "elements", ("vm", "debian", "-odd")),
    (["", "base vm", "", "ubuntu"], "elements", ("base", "vm", "ubuntu")),
])
@pytest.mark.contract("C-005", "C-016", "C-024")
def test_every_option(arguments: list[str], field: str, value: Any) -> None:
    assert getattr(recipe(*arguments), field) == value


@pytest.mark.parametrize(("environment", "field", "value"), [
    ({"DIB_IMAGE_SIZE": "3"}, "image_size_gib", 3.0),
    ({"DIB_IMAGE_EXTRA_SIZE": "50"}, "image_extra_size_mib", 50.0),
    ({"DIB_JOURNAL_SIZE": "8"}, "journal_size_mib", 8),
    ({"DIB_CHECKSUM": "sha256"}, "checksums", ("sha256",)),
    ({"DIB_CHECKSUM": "0"}, "checksums", ()),
    ({"DIB_NO_TMPFS": "1"}, "tmpfs", False),
    ({"FS_TYPE": "xfs"}, "fs_type", "xfs"),
    ({"SKIP_BASE": "1"}, "skip_base", True),
    ({"MKFS_OPTS": "-m 0"}, "mkfs_options", "-m 0"),
    ({"ROOT_LABEL": "root"}, "root_label", "root"),
    ({"DIB_DEBUG_TRACE": "1"}, "trace", 1),
    ({"IMAGE_ELEMENT": "first"}, "elements", ("first", "x")),
    ({"DIB_QUIET": "1"}, "quiet", True),
    ({"OVERWRITE_OLD_IMAGE": "1"}, "overwrite_old_image", True),
    ({"ARCH": "armhf"}, "arch", "armhf"),
    ({"DIB_PARTITION_MAPPER": "kpartx"}, "partition_mapper", "kpartx"),
])
@pytest.mark.contract("C-014", "C-023", "C-026")
def test_environment_as_fallback(environment: dict[str, str], field: str, value: Any) -> None:
    assert getattr(recipe("x", **environment), field) == value


def test_options_win_over_the_environment() -> None:
    assert recipe("x", "--image-size", "2", DIB_IMAGE_SIZE="9").image_size_gib == 2
    assert recipe("x", "-x", DIB_DEBUG_TRACE="1").trace == 2


@pytest.mark.parametrize("arguments", [
    ["--nonsense", "x"], ["x", "-o"], ["x", "--image-size", "big"], ["x", "--image-size", "0"], ["x", "-t", ""],
    ["x", "-t", "a/b"], ["x", "--min-tmpfs", "1.5"], [], [""], ["x", "--image"],
])
def test_what_is_refused(arguments: list[str]) -> None:
    with pytest.raises(RecipeError):
        recipe(*arguments)


def test_an_unknown_way_to_map_partitions_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match="'dmsetup'") as caught:
        recipe("x", DIB_PARTITION_MAPPER="dmsetup")
    assert "partx, kpartx, loop" in caught.value.hint


def test_a_wrong_checksum_names_the_variable() -> None:
    with pytest.raises(RecipeError, match="DIB_CHECKSUM=crc"):
        recipe("x", DIB_CHECKSUM="crc")


@pytest.mark.contract("C-014", "C-015")
def test_one_type_takes_its_ending_off_the_name() -> None:
    single, several = recipe("x", "-o", "/d/a.qcow2"), recipe("x", "-o", "/d/a.qcow2", "-t", "raw,qcow2")
    assert single.output("qcow2") == Path("/d/a.qcow2")
    assert single.output_name == "/d/a"
    assert several.output("raw") == Path("/d/a.qcow2.raw")


@pytest.mark.contract("C-028")
def test_our_elements_come_last_on_elements_path() -> None:
    assert recipe("x", ELEMENTS_PATH="/mine::/other").elements_path == (
        Path("/mine"), Path("/other"), paths.elements_dir())


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "armhf"),
                                               ("s390x", "s390x")])
@pytest.mark.contract("C-013")
def test_names_of_architectures(machine: str, arch: str) -> None:
    assert host_arch(machine=machine) == arch
