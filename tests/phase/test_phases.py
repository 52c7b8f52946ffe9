"""Phase files and the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import paths
from pydib.cli.drop_in import make_recipe, parse
from pydib.element.hooks import merge
from pydib.element.resolve import resolve
from pydib.element.shelf import find_elements
from pydib.errors import PhaseError
from pydib.phase.phases import load_phases, phases_in_mode
from pydib.phase.plan import Plan, make_plan


def test_ten_phases_in_dib_s_order() -> None:
    phases = phases_in_mode(load_phases([paths.phases_dir()]), "device")
    assert [phase.name for phase in phases] == [
        "root", "extra-data", "pre-install", "install", "post-install", "post-root", "block-device", "pre-finalise",
        "finalise", "cleanup"]
    assert [phase.name for phase in phases if phase.where == "target"] == [
        "pre-install", "install", "post-install", "finalise"]
    assert [phase.directory for phase in phases] == [f"{phase.name}.d" for phase in phases]


def test_in_tree_mode_the_disk_is_made_at_the_end_and_one_phase_more_gets_it_as_a_file() -> None:
    loaded = load_phases([paths.phases_dir()])
    phases = {phase.name: phase for phase in phases_in_mode(loaded, "tree")}
    assert list(phases)[-2:] == ["cleanup", "image-file"]
    assert phases["image-file"].optional
    assert phases["block-device"].after == ("write-fstab", "mount-system")
    assert phases["cleanup"].after[-1] == "assemble-disk"
    device = phases_in_mode(loaded, "device")
    assert device == tuple(phase for phase in loaded if phase.name != "image-file"), "as they stand in the files"


def test_a_user_adds_a_phase_and_replaces_one(tmp_path: Path) -> None:
    (tmp_path / "45-check.toml").write_text('name = "check"\nwhere = "target"\ndirectory = "checks"\n')
    (tmp_path / "20-extra-data.toml").write_text('name = "extra-data"\nwhere = "target"\n')
    phases = {phase.name: phase for phase in load_phases([paths.phases_dir(), tmp_path])}
    assert list(phases).index("check") == list(phases).index("install") + 1
    assert phases["check"].directory == "checks"
    assert phases["extra-data"].where == "target"


@pytest.mark.parametrize(("text", "message"), [
    ('name = "x"\n', "`where` must be"),
    ('name = "x y"\nwhere = "host"\n', "`name` must be"),
    ('name = "x"\nwhere = "host"\ncolour = 1\n', "unknown key 'colour'"),
    ('name = "x"\nwhere = "host"\nafter = ["explode"]\n', "unknown word 'explode'"),
    ('name = "x"\nwhere = "host"\nafter = "measure"\n', "must be a list"),
    ('name = "x"\nwhere = "host"\ndirectory = "../x"\n', "`directory` must be"),
    ('name = "x"\nwhere = "host"\nfailure = 0\n', "`failure` must be"),
    ('name = "x"\nwhere = "host"\nmode = "dream"\n', "`mode` must be"),
    ('name = "x"\nwhere = "host"\noptional = 1\n', "`optional` must be"),
    ('name = "root"\nwhere = "host"\n', "two phase files are named root"),
    ("not toml", "cannot be read"),
])
def test_a_wrong_phase_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "11-new.toml").write_text(text)
    with pytest.raises(PhaseError, match=message):
        load_phases([paths.phases_dir(), tmp_path])


def test_a_missing_phases_folder_is_told() -> None:
    with pytest.raises(PhaseError, match="--phases"):
        load_phases([Path("/no/such/folder")])


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name, text in {
        "os/element-provides": "operating-system\n", "os/element-deps": "tools\n", "os/root.d/10-os": "",
        "tools/install.d/10-b": "", "tools/install.d/9-a": "", "tools/install.d/not.run": "",
        "tools/files/data": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path


def plan(shelf: Path, *arguments: str) -> Plan:
    given, elements = parse(["os", *arguments])
    recipe = make_recipe(given, elements, {}, arguments=arguments)
    resolution = resolve(elements, find_elements([shelf]))
    return make_plan(recipe, resolution, merge(resolution.elements), load_phases([paths.phases_dir()]))


def test_scripts_stand_in_the_order_in_which_they_run(shelf: Path) -> None:
    scripts = [step.name for step in plan(shelf).steps if step.kind == "script"]
    assert scripts == ["root.d/10-os", "install.d/9-a", "install.d/10-b"]


def test_every_step_has_a_reason_and_scripts_their_element(shelf: Path) -> None:
    made = plan(shelf)
    assert all(step.reason for step in made.steps)
    assert {step.element for step in made.steps if step.kind == "script"} == {"os", "tools"}
    assert made.owner("install.d/9-a") == "tools"
    assert made.source("install.d/9-a") == str(shelf / "tools/install.d/9-a")
    assert made.owner("install.d/unknown") == ""


def test_actions_that_are_not_needed_are_not_planned(shelf: Path) -> None:
    def actions(*arguments: str) -> set[str]:
        return {step.name for step in plan(shelf, *arguments).steps if step.kind == "action"}

    assert not {"install-packages", "pack-tree"} & actions()
    assert {"install-packages", "pack-tree"} <= actions("-p", "redis", "-t", "tar")


def test_outputs_come_last(shelf: Path) -> None:
    made = plan(shelf, "-t", "raw,qcow2", "-o", "/d/disk")
    assert [(step.kind, step.source) for step in made.steps[-2:]] == [
        ("output", "/d/disk.raw"), ("output", "/d/disk.qcow2")]


def test_the_plan_as_json_names_who_asked(shelf: Path) -> None:
    assert plan(shelf).as_json()["elements"] == [
        {"name": "os", "path": str(shelf / "os"), "asked_by": ""},
        {"name": "tools", "path": str(shelf / "tools"), "asked_by": "os"}]
