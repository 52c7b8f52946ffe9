"""Elements and what they resolve to, on a fake filesystem: nothing of it touches the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from pydib.element.resolve import Resolution, resolve, with_defaults
from pydib.element.shelf import Shelf, find_elements, split_elements_path
from pydib.errors import AlreadyProvided, ElementError, ElementNotFound, NoOperatingSystem

SHELF = Path("/shelf")


def element(fs: FakeFilesystem, name: str, *, deps: str = "", provides: str = "", shelf: Path = SHELF) -> None:
    folder = shelf / name
    fs.create_dir(folder)
    if deps:
        fs.create_file(folder / "element-deps", contents=deps)
    if provides:
        fs.create_file(folder / "element-provides", contents=provides)


@pytest.fixture
def shelf(fs: FakeFilesystem) -> FakeFilesystem:
    element(fs, "os", deps="tools\n", provides="operating-system\n")
    element(fs, "tools", deps="map\n")
    element(fs, "map")
    return fs


def expand(*wanted: str, places: tuple[Path, ...] = (SHELF,)) -> Resolution:
    return resolve(wanted, find_elements(places))


def test_dependencies_come_after_what_asked_for_them(shelf: FakeFilesystem) -> None:
    assert expand("os").names == ("os", "tools", "map")


def test_who_asked_for_an_element_is_known(shelf: FakeFilesystem) -> None:
    assert dict(expand("os").asked_by) == {"os": "", "tools": "os", "map": "tools"}


def test_white_space_and_a_missing_last_newline_in_element_deps_are_harmless(shelf: FakeFilesystem) -> None:
    element(shelf, "dos", deps="  map \r\n\r\n\ttools")
    assert set(expand("os", "dos").names) == {"os", "dos", "map", "tools"}


def test_a_comment_in_element_deps_is_a_dependency_that_is_not_found(shelf: FakeFilesystem) -> None:
    element(shelf, "commented", deps="# map\n")
    with pytest.raises(ElementNotFound, match="# map"):
        expand("os", "commented")


def test_elements_may_depend_on_each_other_and_on_themselves(shelf: FakeFilesystem) -> None:
    element(shelf, "a", deps="b\na\n")
    element(shelf, "b", deps="a\n")
    assert expand("os", "a").names == ("os", "a", "tools", "b", "map")


def test_a_virtual_name_needs_no_folder(shelf: FakeFilesystem) -> None:
    element(shelf, "disk", provides="block-device\n")
    element(shelf, "vm", deps="block-device\n")
    assert expand("os", "vm", "disk").names == ("os", "vm", "disk", "tools", "map")


def test_a_virtual_name_may_be_provided_by_an_element_found_later(shelf: FakeFilesystem) -> None:
    element(shelf, "vm", deps="block-device\nbrings-disk\n")
    element(shelf, "brings-disk", deps="disk\n")
    element(shelf, "disk", provides="block-device\n")
    assert "disk" in expand("os", "vm").names


def test_an_element_that_another_one_provides_is_dropped_but_its_dependencies_stay(shelf: FakeFilesystem) -> None:
    element(shelf, "classic", deps="only-of-classic\n")
    element(shelf, "only-of-classic")
    element(shelf, "asks", deps="classic\nlate\n")
    element(shelf, "late", deps="replacement\n")
    element(shelf, "replacement", provides="classic\n")
    names = expand("os", "asks").names
    assert "classic" not in names
    assert "only-of-classic" in names


def test_two_providers_of_one_name_are_refused(shelf: FakeFilesystem) -> None:
    element(shelf, "other-os", provides="operating-system\n")
    with pytest.raises(AlreadyProvided, match="provided by os already, and other-os"):
        expand("os", "other-os")


def test_asking_for_what_another_element_provides_is_refused(shelf: FakeFilesystem) -> None:
    element(shelf, "classic")
    element(shelf, "replacement", provides="classic\n")
    with pytest.raises(AlreadyProvided, match="classic was asked for, but replacement provides it"):
        expand("os", "replacement", "classic")


def test_naming_an_element_twice_is_harmless(shelf: FakeFilesystem) -> None:
    assert expand("os", "tools", "os").names == ("os", "tools", "map")


def test_two_parents_of_one_provider_are_harmless(shelf: FakeFilesystem) -> None:
    element(shelf, "a", deps="disk\n")
    element(shelf, "b", deps="disk\n")
    element(shelf, "disk", provides="block-device\n")
    assert "disk" in expand("os", "a", "b").names


def test_without_an_operating_system_nothing_is_built(shelf: FakeFilesystem) -> None:
    with pytest.raises(NoOperatingSystem, match="no operating system"):
        expand("tools")


def test_an_unknown_element_names_who_asked_where_was_searched_and_a_guess(shelf: FakeFilesystem) -> None:
    element(shelf, "asks", deps="toolz\n")
    with pytest.raises(ElementNotFound) as caught:
        expand("os", "asks")
    text = str(caught.value)
    assert "'toolz' not found" in text
    assert "element-deps of asks" in text
    assert str(SHELF) in text
    assert "did you mean tools?" in text


def test_a_missing_virtual_name_says_which_elements_provide_it(shelf: FakeFilesystem) -> None:
    element(shelf, "disk", provides="block-device\n")
    with pytest.raises(ElementNotFound, match="include one of the elements that provide it: disk"):
        expand("os", "block-device")


def test_earlier_folders_override_later_ones_wholly(shelf: FakeFilesystem) -> None:
    element(shelf, "tools", shelf=Path("/mine"))
    found = find_elements([Path("/mine"), SHELF])
    assert found["tools"].path == Path("/mine/tools")
    assert found["tools"].overrides == (SHELF / "tools",)
    assert found["tools"].depends == ()


def test_a_link_counts_by_the_name_of_what_it_points_to(shelf: FakeFilesystem) -> None:
    element(shelf, "real", shelf=Path("/elsewhere"))
    shelf.create_symlink(SHELF / "alias", Path("/elsewhere/real"))
    found = find_elements([SHELF])
    assert "alias" not in found
    assert found["real"].path == Path("/elsewhere/real")


def test_files_beside_elements_are_no_elements(shelf: FakeFilesystem) -> None:
    shelf.create_file(SHELF / "README.md")
    shelf.create_file(SHELF / "__pycache__/conftest.pyc")
    found = find_elements([SHELF])
    assert "README.md" not in found and "__pycache__" not in found


def test_a_missing_folder_on_elements_path_is_an_error(shelf: FakeFilesystem) -> None:
    with pytest.raises(ElementError, match="/nowhere"):
        find_elements([Path("/nowhere"), SHELF])


def test_empty_entries_of_elements_path_are_ignored() -> None:
    assert split_elements_path(":/a::/b:") == (Path("/a"), Path("/b"))


def test_the_order_never_depends_on_the_shelf(shelf: FakeFilesystem) -> None:
    found = find_elements([SHELF])
    shuffled = Shelf(dict(reversed(list(found.elements.items()))), found.searched)
    assert resolve(["os"], shuffled).names == resolve(["os"], found).names


@pytest.mark.parametrize(("wanted", "arch", "expected"), [
    (["vm", "os"], "amd64", ("base", "vm", "os", "block-device-mbr")),
    (["vm", "os"], "arm64", ("base", "vm", "os", "block-device-efi")),
    (["vm", "os"], "aarch64", ("base", "vm", "os", "block-device-efi")),
    (["vm", "os", "block-device-gpt"], "amd64", ("base", "vm", "os", "block-device-gpt")),
    (["os"], "amd64", ("base", "os")),
    (["os", "base"], "amd64", ("base", "os")),
])
def test_what_is_always_added(wanted: list[str], arch: str, expected: tuple[str, ...]) -> None:
    assert with_defaults(wanted, arch=arch) == expected


def test_a_ramdisk_element_comes_before_base() -> None:
    assert with_defaults(["os"], arch="amd64", ramdisk_element="ramdisk") == ("ramdisk", "base", "os")
