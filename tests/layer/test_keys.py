"""What a script's outcome depends on: folding, volatile variables, secrets, names of states."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.layer import keys
from pydib.layer.keys import Fold, named, variables
from pydib.masking import Mask

ELEMENTS = Path(__file__).parents[2] / "elements"

NOTHING = Fold([])


def test_directories_become_words_and_come_back() -> None:
    fold = Fold([("/home/x/.cache", "{cache}"), ("/home/x", "{home}"), ("/b/dib_build.1", "{build}")])
    text = "/home/x/.cache/apt:/home/x/bin:/b/dib_build.1/mnt"
    assert fold.fold(text) == "{cache}/apt:{home}/bin:{build}/mnt"
    assert fold.unfold(fold.fold(text)) == text


def test_only_whole_names_of_directories_are_replaced() -> None:
    fold = Fold([("/home/x", "{home}")])
    assert fold.fold("/home/xy /home/x.old /home/x-1") == "/home/xy /home/x.old /home/x-1"


def test_the_root_and_nothing_are_no_places() -> None:
    assert Fold([("/", "{root}"), ("", "{none}"), (".", "{here}")]).fold("/etc/a.b") == "/etc/a.b"


def test_volatile_variables_count_only_where_named() -> None:
    found = variables({"DIB_RELEASE": "bookworm", "IMAGE_NAME": "a", "TERM": "x", "_": "y", "SHLVL": "3"}, NOTHING)
    assert found.always == {"DIB_RELEASE": "bookworm"}
    assert found.if_named == {"IMAGE_NAME": "a", "TERM": "x"}
    assert named([b"echo $IMAGE_NAME\n"], found.if_named) == {"IMAGE_NAME": "a"}
    assert named([b"echo $IMAGE_NAMES $XTERM\n"], found.if_named) == {}


def test_what_says_which_image_is_built_counts_only_where_named() -> None:
    function = "BASH_FUNC_get_image_element_array%%"
    found = variables({"IMAGE_ELEMENT": "a b", "SERVICE_TYPE": "redis", function: "() {  :\n}", "TERM": "x"}, NOTHING)
    assert found.always == {}
    assert set(keys.of_the_build(found.if_named)) == {"IMAGE_ELEMENT", "SERVICE_TYPE", function}
    assert set(named([b"x=$(get_image_element_array)\n"], found.if_named)) == {function}


@pytest.mark.parametrize("name", ["CI_JOB_ID", "GITHUB_RUN_ID", "BUILD_NUMBER", "PYDIB_CACHE_TO", "PYTEST_VERSION"])
def test_what_describes_one_job_of_a_ci_system_is_volatile(name: str) -> None:
    found = variables({name: "17", "DIB_RELEASE": "x"}, Fold([]))
    assert (found.always, found.if_named) == ({"DIB_RELEASE": "x"}, {name: "17"})


@pytest.mark.parametrize("text", [
    b"env >/etc/x", b"printenv", b"a | env", b"export -p", b"declare -x\n", b"env\n", b"cat /proc/self/environ",
    b"dict(os.environ)", b"for name in os.environ:", b"set\n", b"x=$(env)", b"x=`set`",
])
def test_who_looks_at_the_whole_environment_depends_on_all_of_it(text: bytes) -> None:
    assert named([text], {"IMAGE_NAME": "a"}) == {"IMAGE_NAME": "a"}


@pytest.mark.parametrize("text", [
    b"#!/usr/bin/env python3\n", b"env -i PATH=/bin ls", b"set -eu -o pipefail\n", b'os.environ["A"]',
    b"os.environ.get('A')", b"environment", b"declare -x A=1\n", b"environ_of",
])
def test_who_only_uses_the_words_does_not(text: bytes) -> None:
    assert named([text], {"IMAGE_NAME": "a"}) == {}


def test_no_script_of_a_plain_debian_looks_at_the_whole_environment() -> None:
    """Each would be run again in another terminal."""
    one = {"COLUMNS": "80"}
    names = ("base", "bootloader", "debian-minimal", "debootstrap", "dib-init-system", "dpkg", "install-bin",
             "install-types", "manifests", "modprobe", "pkg-map", "sysprep", "vm")
    texts = [path for name in names for path in (ELEMENTS / name).rglob("*")
             if path.is_file() and path.suffix != ".rst" and not {"tests", "__pycache__"} & set(path.parts)]
    assert len(texts) > 80
    assert [path for path in texts if named([path.read_bytes()], one)] == []


def test_what_archives_say_by_chance_does_not_count() -> None:
    volatile = {"IMAGE_NAME": "a", "TERM": "x"}
    assert named([b"PK\x03\x04\0 set\n \0"], volatile) == {}
    assert named([b"\x7fELF\0IMAGE_NAME\0"], volatile) == {"IMAGE_NAME": "a"}


def test_secrets_are_not_written_down() -> None:
    mask = Mask(["hunter2", "hunter3"])
    found = variables({"TOKEN": "hunter2", "URL": "https://me:hunter2@host", "HOME": "/home/hunter2"}, NOTHING,
                      mask=mask, salt=b"salt")
    assert found.always["TOKEN"].startswith("secret:")
    assert found.always["URL"].startswith("secret:")  # whichever variable has it
    assert "hunter2" not in str(found)
    other = variables({"TOKEN": "hunter3"}, NOTHING, mask=mask, salt=b"salt")
    elsewhere = variables({"TOKEN": "hunter2"}, NOTHING, mask=mask, salt=b"other")
    assert len({found.always["TOKEN"], other.always["TOKEN"], elsewhere.always["TOKEN"]}) == 3


def test_a_state_is_what_it_grew_from_what_was_added_and_what_is_mounted() -> None:
    names = {keys.state_id(keys.EMPTY, "a", []), keys.state_id("p", "a", []), keys.state_id("p", "b", []),
             keys.state_id("p", "b", [{"target": "x"}]), keys.EMPTY}
    assert len(names) == 5


def test_a_digest_does_not_depend_on_the_order_of_names() -> None:
    assert keys.digest({"a": 1, "b": 2}) == keys.digest({"b": 2, "a": 1})
    assert keys.digest({"a": "\udcff"}) != keys.digest({"a": "\udcfe"})
