"""Which configuration a build uses."""

from __future__ import annotations

import pytest

from pydib import blockdev
from pydib.blockdev.choose import DEFAULT_WHERE
from pydib.errors import BlockDeviceConfigError


@pytest.fixture
def shelf(tmp_path):
    def make(**elements):
        for name, files in elements.items():
            (tmp_path / name).mkdir()
            for file in files:
                (tmp_path / name / f"block-device-{file}.yaml").write_text(f"{name}/{file}")
        return [tmp_path / name for name in elements]
    return make


def chosen(given="", elements=(), arch="amd64"):
    return blockdev.choose(given, elements=elements, arch=arch)


def test_text_in_the_variable_goes_first(shelf):
    found = chosen("- local_loop: {}", shelf(a=["default"]))
    assert (found.text, found.where) == ("- local_loop: {}", "DIB_BLOCK_DEVICE_CONFIG")


def test_the_variable_can_name_a_file(tmp_path):
    (tmp_path / "c.yaml").write_text("hello")
    assert chosen(f"file://{tmp_path}/c.yaml").text == "hello"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BlockDeviceConfigError, match="cannot be read: No such file") as caught:
        chosen(f"file://{tmp_path}/none.yaml")
    assert "DIB_BLOCK_DEVICE_CONFIG" in caught.value.hint


def test_a_named_file_that_is_no_text_is_an_error(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BlockDeviceConfigError, match="not UTF-8"):
        chosen(f"file://{tmp_path}/c.yaml")


def test_the_file_for_the_architecture_goes_before_the_default(shelf):
    assert chosen(elements=shelf(a=["default", "arm64"]), arch="arm64").text == "a/arm64"
    assert chosen(elements=shelf(b=["default", "arm64"])).text == "b/default"


@pytest.mark.parametrize("arch", ["ppc64le", "ppc64el"])
def test_both_names_of_power_find_the_same_file(shelf, arch):
    assert chosen(elements=shelf(a=["default", "ppc64el"]), arch=arch).text == "a/ppc64el"


def test_the_first_of_several_elements_wins_with_a_warning(shelf):
    found = chosen(elements=shelf(z=["default"], none=[], a=["amd64"], b=["default"]))
    assert found.text == "z/default"
    assert found.warnings == ("elements z and a, b have a block-device configuration; that of z is used",)


def test_one_element_is_no_reason_to_warn(shelf):
    assert chosen(elements=shelf(z=["default", "amd64"])).warnings == ()


def test_without_any_the_built_in_one_is_used():
    found = chosen(given="  \n")
    assert (found.where, blockdev.load(found.text).answers.root_fstype) == (DEFAULT_WHERE, "ext4")
