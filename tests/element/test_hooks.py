"""The merged hook tree and the order of scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from pydib.element.hooks import environment_files, merge, order_key, scripts_in
from pydib.element.shelf import Element
from pydib.errors import ElementError, HookConflict


def element(fs: FakeFilesystem, name: str, *files: str) -> Element:
    folder = Path("/shelf") / name
    fs.create_dir(folder)
    for file in files:
        fs.create_file(folder / file, st_mode=0o100755)
    return Element(name, folder)


def targets(*elements: Element) -> list[str]:
    return [entry.target for entry in merge(elements)]


def test_folders_and_files_of_all_elements_share_one_tree(fs: FakeFilesystem) -> None:
    a = element(fs, "a", "install.d/10-a", "pkg-map")
    b = element(fs, "b", "install.d/20-b", "files/deep/er")
    assert targets(a, b) == ["install.d", "install.d/10-a", "pkg-map", "files", "files/deep", "install.d",
                             "install.d/20-b"]


def test_tests_caches_and_hidden_first_level_entries_stay_out(fs: FakeFilesystem) -> None:
    a = element(fs, "a", "tests/test_a.py", "__pycache__/x", "old.pyc", "install.d/.hidden", "files/sub/.kept", ".dot")
    assert targets(a) == [".dot", "files", "files/sub", "install.d"]


def test_one_script_name_in_two_elements_is_refused(fs: FakeFilesystem) -> None:
    with pytest.raises(HookConflict) as caught:
        merge([element(fs, "a", "bin/tool"), element(fs, "b", "bin/tool")])
    assert "elements a and b both have bin/tool" in str(caught.value)


def test_top_level_files_of_one_name_do_not_conflict(fs: FakeFilesystem) -> None:
    merged = merge([element(fs, "a", "README.rst"), element(fs, "b", "README.rst")])
    assert [entry.element for entry in merged] == ["a", "b"]


def test_sub_folders_of_one_name_merge(fs: FakeFilesystem) -> None:
    assert targets(element(fs, "a", "static/etc/x"), element(fs, "b", "static/etc/x")) == [
        "static", "static/etc", "static", "static/etc"]


def test_scripts_run_in_the_order_of_sort_n(fs: FakeFilesystem) -> None:
    """The order that DIB's runner was seen to use (C-085)."""
    expected = ["-5neg", "00-zero", "ABC", "_u", "abc", "1e3x", "9-nine", "9a", "010-octal", "10-ten", "10_x",
                "27-link", "050-c", "50-B", "50-a", "100-hundred"]
    for name in reversed(expected):
        fs.create_file(f"/tree/install.d/{name}", st_mode=0o100755)
    assert list(scripts_in(Path("/tree/install.d")).names) == expected


@pytest.mark.parametrize(("name", "mode", "runs"), [
    ("10-good", 0o755, True), ("10-not-executable", 0o644, False), ("10-dot.sh", 0o755, False),
    ("10-backup~", 0o755, False), ("with blank", 0o755, False), ("group-only", 0o710, True),
])
def test_what_is_a_script(fs: FakeFilesystem, name: str, mode: int, runs: bool) -> None:
    fs.create_file(f"/tree/x.d/{name}", st_mode=0o100000 | mode)
    assert (scripts_in(Path("/tree/x.d")).names == (name,)) is runs


def test_links_to_scripts_run_and_dangling_links_and_folders_do_not(fs: FakeFilesystem) -> None:
    fs.create_file("/tree/files/real", st_mode=0o100755)
    fs.create_symlink("/tree/x.d/10-link", "../files/real")
    fs.create_symlink("/tree/x.d/20-dangling", "../files/gone")
    fs.create_dir("/tree/x.d/30-folder")
    assert scripts_in(Path("/tree/x.d")).names == ("10-link",)


def test_names_that_do_not_match_are_told(fs: FakeFilesystem) -> None:
    fs.create_file("/tree/x.d/10-a.sh", st_mode=0o100755)
    assert scripts_in(Path("/tree/x.d")).ignored == ("10-a.sh",)


def test_another_pattern_may_be_given(fs: FakeFilesystem) -> None:
    fs.create_file("/tree/x.d/10-a.sh", st_mode=0o100755)
    assert scripts_in(Path("/tree/x.d"), name_pattern=r"\.sh$").names == ("10-a.sh",)


@pytest.mark.contract("C-084")
@pytest.mark.parametrize(("pattern", "runs"), [("^[[:alnum:]-]+$", True), ("^[[:digit:]]+$", False),
                                               ("^[[:alpha:][:digit:]_-]+$", True)])
def test_the_pattern_may_use_posix_classes(fs: FakeFilesystem, pattern: str, runs: bool) -> None:
    fs.create_file("/tree/x.d/10-a", st_mode=0o100755)
    assert bool(scripts_in(Path("/tree/x.d"), name_pattern=pattern).names) is runs


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(ElementError, match="RUN_PARTS_REGEX"):
        scripts_in(Path("/nowhere"), name_pattern="(")


def test_a_missing_folder_has_no_scripts() -> None:
    assert scripts_in(Path("/nowhere/x.d")).names == ()


def test_environment_files_go_by_bytes_and_not_by_number(fs: FakeFilesystem) -> None:
    for name in ("9-a", "10-b", "A-x", "11-c", "zz.env"):
        fs.create_file(f"/tree/environment.d/{name}", st_mode=0o100644)
    assert environment_files(Path("/tree")) == ("10-b", "11-c", "9-a", "A-x", "zz.env")


def test_negative_and_missing_numbers_have_an_order() -> None:
    assert sorted(["10-a", "b", "-3x"], key=order_key) == ["-3x", "b", "10-a"]
