"""Build files and the command lines that they stand for."""

from __future__ import annotations

import shlex

import pytest

from pydib.errors import RecipeError
from pydib.recipe import Recipe
from pydib.yaml_builds import SCHEMA, ImageBuild, builds

EVERYTHING = """
- elements: [vm, "x y"]
  skip-base: true
  packages: [a, b c]
  docker-target: dt
  install-type: package
  ramdisk-element: rd
  root-label: lab
  qemu-img-options: {compat: "1.1", cluster_size: "65536"}
  offline: yes
  no-tmpfs: true
  mkfs-options: -m 0
  mkfs-journal-size: 7
  min-tmpfs: 6
  max-online-resize: 5
  image-cache: /c
  image-extra-size: 4
  image-size: 3
  checksum: on
  logfile: a b.log
  clear: true
  uncompressed: true
  debug-trace: 2
  ramdisk: false
  environment: {B: "it's", A: "1"}
  types: [qcow2, raw]
  arch: amd64
  imagename: img
"""


def lines(*files: str) -> list[str]:
    """What the files become."""
    return [image.shell_line() for image in builds([(f"{number}.yaml", text.encode())
                                                    for number, text in enumerate(files, 1)])]


def refusal(text: str) -> RecipeError:
    """The error of a wrong file."""
    with pytest.raises(RecipeError) as caught:
        builds([("wrong.yaml", text.encode())])
    return caught.value


@pytest.mark.contract("C-032", "C-036", "C-037")
def test_every_setting_has_its_place_in_the_command_line() -> None:
    assert lines(EVERYTHING) == [
        "B='it'\"'\"'s' A=1 disk-image-create -o img -a amd64 -t qcow2,raw -x -x -u -c --logfile 'a b.log' --checksum "
        "--image-size 3 --image-extra-size 4 --image-cache /c --max-online-resize 5 --min-tmpfs 6 "
        "--mkfs-journal-size 7 --mkfs-options '-m 0' --no-tmpfs --offline "
        "--qemu-img-options compat=1.1,cluster_size=65536 --root-label lab --ramdisk-element rd "
        "--install-type package --docker-target dt -p 'a,b c' -n vm 'x y'"]


def test_our_own_command_understands_the_whole_line() -> None:
    from pydib.cli.drop_in import make_recipe, parse

    words = shlex.split(lines(EVERYTHING)[0])
    given, elements = parse(words[words.index("disk-image-create") + 1:])
    recipe = make_recipe({name: value for name, value in given.items() if name != "clear"}, elements, {}, arguments=())
    assert isinstance(recipe, Recipe)
    assert (recipe.image_size_gib, recipe.journal_size_mib, recipe.elements) == (3, 7, ("vm", "x", "y"))


@pytest.mark.contract("C-031")
@pytest.mark.parametrize("text", ["[]", "--- []\n", "# only\n[]"])
def test_an_empty_list_is_no_image(text: str) -> None:
    assert lines(text) == []


@pytest.mark.contract("C-033", "C-035")
@pytest.mark.parametrize(("text", "line"), [
    ("- {}", ""),
    ("- imagename: ''", ""),
    ("- {elements: [], packages: [], types: [], environment: {}, qemu-img-options: {}, root-label: ''}", ""),
    ("- {uncompressed: false, checksum: no, debug-trace: 0}", ""),
    ("- {packages: ['']}", ""),
    ("- {uncompressed: yes, offline: on, checksum: True}", " -u --checksum --offline"),
    ("- {debug-trace: 1}", " -x"),
    ("- {image-size: 2.0}", " --image-size 2.0"),
    ("- {imagename: -x, elements: [--version]}", " -o -x --version"),
    ("- {elements: [x], imagename: a b}", " -o 'a b' x"),
])
def test_small_entries(text: str, line: str) -> None:
    assert lines(text) == ["disk-image-create" + line]


@pytest.mark.contract("C-034")
@pytest.mark.parametrize(("files", "expected"), [
    pytest.param(["- {elements: [a]}\n- {imagename: image, elements: [b]}\n- {elements: [c]}"],
                 ["disk-image-create -o image a b c"], id="unnamed-entries-are-image"),
    pytest.param(["- {imagename: i}", "- {elements: [c]}"], ["disk-image-create -o i c"], id="over-files"),
    pytest.param(["- {imagename: i}\n- {imagename: j}\n- {imagename: i, elements: [x]}\n- {elements: [y]}"],
                 ["disk-image-create -o i x y", "disk-image-create -o j"], id="first-mention-decides-the-order"),
    pytest.param(["- {imagename: i, elements: [a]}\n- {imagename: '', elements: [b]}"],
                 ["disk-image-create -o i a", "disk-image-create b"], id="an-empty-name-is-another-image"),
    pytest.param(["- {debug-trace: 2, uncompressed: true, image-size: 3}\n"
                  "- {uncompressed: false, image-size: 4}"],
                 ["disk-image-create -x -x --image-size 4"], id="values-are-replaced"),
    pytest.param(["- {types: [raw], packages: [a], qemu-img-options: {x: '1'}, environment: {B: '1'}}\n"
                  "- {types: [tar], packages: [b], qemu-img-options: {y: '2', x: '4'}, environment: {A: '2', B: '3'}}"],
                 ["B=3 A=2 disk-image-create -t raw,tar --qemu-img-options x=4,y=2 -p a,b"],
                 id="lists-are-joined-maps-updated"),
    pytest.param(["- {ramdisk: true, elements: [a]}\n- {ramdisk: false}"], ["disk-image-create a"], id="no-ramdisk"),
])
def test_entries_of_one_image_are_merged(files: list[str], expected: list[str]) -> None:
    assert lines(*files) == expected


@pytest.mark.contract("C-039", verdict="bettered", note="an element that two entries name counts once")
def test_an_element_counts_once() -> None:
    assert lines("- elements: [debian, vm]", "- elements: [debian, base]") == ["disk-image-create debian vm base"]


@pytest.mark.contract("C-030", "C-036")
def test_a_ramdisk_has_its_own_command() -> None:
    image, = builds([("f", b"- {ramdisk: yes, imagename: r, elements: [x]}")])
    assert image == ImageBuild(name="r", program="ramdisk-image-create", arguments=("-o", "r", "x"), environment={})


@pytest.mark.contract("C-031", "C-032", verdict="bettered", note="one message with file, line and entry; no traceback")
@pytest.mark.parametrize(("text", "what", "where"), [
    ("", "must be a list of images, not nothing", "wrong.yaml"),
    ("imagename: x", "must be a list of images, not a map", "wrong.yaml"),
    ("just text", "not a text", "wrong.yaml"),
    ("- [b]", "must be a map of settings, not a list", "line 1, entry 1"),
    ("- {}\n- 3", "not a number", "line 2, entry 2"),
    ("- {}\n- imagename: web\n  offline: true\n  elemets: [x]", "unknown setting 'elemets'", "line 4, entry 2 (web)"),
    ("- 3: 4", "unknown setting 3", "entry 1"),
    ("- imagename: 3", "`imagename` must be text, not 3", "line 1"),
    ("- imagename: null", "must be text, not None", "line 1"),
    ("- image-size: 2.5", "a whole number from 1 up, not 2.5", "line 1"),
    ("- image-size: 0", "from 1 up, not 0", "line 1"),
    ("- image-size: '3'", "not '3'", "line 1"),
    ("- image-size: true", "not True", "line 1"),
    ("- image-size: .nan", "not nan", "line 1"),
    ("- image-size: .inf", "not inf", "line 1"),
    ("- debug-trace: 3", "one of 0 1 2, not 3", "line 1"),
    ("- debug-trace: true", "one of 0 1 2, not True", "line 1"),
    ("- arch: sparc", "one of aarch64 amd64", "line 1"),
    ("- arch: [amd64]", "`arch` must be one of", "line 1"),
    ("- types: qcow2", "`types` must be a list, not 'qcow2'", "line 1"),
    ("- types: [vmdk]", "each item of `types` must be one of qcow2 tar", "line 1"),
    ("- elements: [x, 3]", "each item of `elements` must be text, not 3", "line 1"),
    ("- elements: null", "must be a list", "line 1"),
    ("- ramdisk: 'yes'", "true or false, not 'yes'", "line 1"),
    ("- environment: {A: 1}", "A in `environment` must be text, not 1", "line 1"),
    ("- environment: [A]", "must be a map", "line 1"),
    ("- environment: {1: a}", "each name in `environment` must be text", "line 1"),
    ("- environment: {A B: x}", "the name of an environment variable, not 'A B'", "line 1"),
    ('- environment: {A: "x\\0"}', "text that a program can be given", "line 1"),
    ('- root-label: "\\ud800"', "text that a program can be given", "line 1"),
    ("- qemu-img-options: {x: 1}", "x in `qemu-img-options` must be text", "line 1"),
    ("- install-type: git", "one of source package", "line 1"),
    ("- *a", "not valid YAML", "line 1, column 3"),
    ("- {a: [}", "not valid YAML", "line 1, column 8"),
    ("- a\n---\n- b", "not valid YAML", "wrong.yaml, line 2"),
    ("- !!python/object:os.system {}", "not valid YAML", "line 1"),
    ("- ? [a]\n  : b", "not valid YAML", "line 1"),
    ("- a\n\t- b", "not valid YAML", "line 2"),
    ("[" * 4000, "nested too deeply", "wrong.yaml"),
])
def test_a_wrong_file_is_refused_with_its_place(text: str, what: str, where: str) -> None:
    error = refusal(text)
    assert what in error.what
    assert where in error.where
    assert error.where.startswith("wrong.yaml")
    assert error.hint


@pytest.mark.parametrize(("text", "hint"), [
    ("- elemets: [x]", "did you mean elements?"), ("- zzz: 1", "known settings: imagename arch"),
    ("- imagename: 3", 'write it in quotes: "3"'), ("- types: raw", "write [raw]"),
])
def test_what_to_do_next(text: str, hint: str) -> None:
    assert hint in refusal(text).hint


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(RecipeError, match="not valid YAML"):
        builds([("f", b"- \xff")])


def test_settings_through_an_alias_and_a_merge_key() -> None:
    assert lines("- &a {imagename: i, elements: [x]}\n- {<<: *a, offline: true}") == [
        "disk-image-create -o i --offline x"]


def test_the_schema_is_the_whole_one() -> None:
    assert len(SCHEMA) == 27
