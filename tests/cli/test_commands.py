"""The commands as a user calls them: output, exit codes, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydib import __version__


def call(program: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    entry = {"pydib": "from pydib.cli.main import run as call",
             "disk-image-create": "from pydib.cli.drop_in import disk_image_create as call"}[program]
    return subprocess.run([sys.executable, "-c", f"{entry}; call()", *arguments], text=True, capture_output=True,
                          check=False, env={**os.environ, **env}, stdin=subprocess.DEVNULL)


@pytest.fixture
def shelf(fixtures: Path) -> dict[str, str]:
    return {"ELEMENTS_PATH": str(fixtures / "elements")}


@pytest.mark.parametrize("program", ["pydib", "disk-image-create"])
def test_version_and_help(program: str) -> None:
    assert __version__ in call(program, "--version").stdout
    helped = call(program, "--help")
    assert helped.returncode == 0
    assert "Usage" in helped.stdout
    assert helped.stderr == ""


def test_help_of_the_drop_in_names_every_option() -> None:
    from pydib.cli.drop_in import LONG

    text = call("disk-image-create", "-h").stdout
    assert all(f"--{name.rstrip('=')}" in text for name in LONG)


def test_resolve_prints_name_and_path(shelf: dict[str, str], fixtures: Path) -> None:
    done = call("pydib", "resolve", "tiny-os", **shelf)
    assert done.stdout == f"tiny-os {fixtures}/elements/tiny-os\n"


def test_resolve_as_json(shelf: dict[str, str], fixtures: Path) -> None:
    done = call("pydib", "resolve", "--json", "tiny-os", **shelf)
    assert json.loads(done.stdout) == {"elements": [{"name": "tiny-os", "path": f"{fixtures}/elements/tiny-os"}]}


def test_resolve_as_bash(shelf: dict[str, str]) -> None:
    code = call("pydib", "resolve", "--env", "tiny-os", **shelf).stdout
    done = subprocess.run(["bash", "-euc", code + 'echo "$IMAGE_ELEMENT"; get_image_element_array; env'], text=True,
                          capture_output=True, check=True)
    assert done.stdout.startswith("tiny-os\n[tiny-os]=")
    assert "IMAGE_ELEMENT_YAML={" in done.stdout


def test_resolve_as_graph() -> None:
    text = call("pydib", "resolve", "--dot", "debian-minimal", "vm").stdout
    assert text.startswith("digraph")
    assert '"vm" -> "block-device-mbr" [label="block-device"]' in text


def test_resolve_of_an_unknown_element() -> None:
    done = call("pydib", "resolve", "debian-minimol")
    assert done.returncode == 1
    assert "did you mean debian-minimal?" in done.stderr
    assert "Traceback" not in done.stderr


def test_elements_one_a_line() -> None:
    names = call("pydib", "elements").stdout.splitlines()
    assert names == sorted(names)
    assert {"debian-minimal", "vm", "base", "bootloader"} <= set(names)


def test_an_element_in_full() -> None:
    facts = json.loads(call("pydib", "elements", "--json", "vm").stdout)
    assert "bootloader" in facts["depends"]
    assert facts["readme"]


def test_an_unknown_element_in_full() -> None:
    done = call("pydib", "elements", "wm")
    assert done.returncode == 1
    assert "did you mean vm?" in done.stderr


def test_plan_names_every_script_and_output() -> None:
    text = call("pydib", "plan", "-o", "/tmp/disk", "debian-minimal", "vm").stdout
    assert "root.d/08-debootstrap" in text
    assert "/tmp/disk.qcow2" in text
    assert "cloudimg-rootfs" in text


def test_plan_as_json() -> None:
    plan = json.loads(call("pydib", "plan", "--json", "debian-minimal", "vm").stdout)
    assert plan["phases"][0]["name"] == "root"
    assert plan["disk"]["mount_points"] == ["/"]
    assert {"name": "debian-minimal", "asked_by": ""}.items() <= next(
        element for element in plan["elements"] if element["name"] == "debian-minimal").items()


@pytest.mark.parametrize(("arguments", "message"), [
    (["nonsense"], "No such command"), (["biuld"], "Did you mean build?"), (["build", "--frob"], "No such option"),
    (["resolve"], "Missing argument"),
])
def test_wrong_usage_of_pydib_is_exit_code_2(arguments: list[str], message: str) -> None:
    done = call("pydib", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["build"], ["build", "--image-size", "big", "x"], ["plan", "no-such-element"]])
def test_wrong_input_is_exit_code_1(arguments: list[str]) -> None:
    done = call("pydib", *arguments)
    assert done.returncode == 1
    assert "next: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(["bash", "-c", '"$0" -c "from pydib.cli.main import run; run()" elements | head -n 1',
                           sys.executable], text=True, capture_output=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


@pytest.mark.parametrize(("wanted", "next_step"), [
    ("10-tiny-o", "did you mean 10-tiny-os?"), ("install.d/99-x", "`pydib plan` lists the scripts")])
def test_rebuilding_from_a_script_that_is_not_there_is_refused(
        shelf: dict[str, str], tmp_path: Path, wanted: str, next_step: str) -> None:
    """It would hand out again the very layers that were to be made anew."""
    done = call("pydib", "build", "--no-base", "-o", str(tmp_path / "x"), "--rebuild-from", wanted, "tiny-os", **shelf)
    assert done.returncode == 1
    assert f"the plan has no script '{wanted}'" in done.stderr
    assert next_step in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "variables", "example"), [
    (["--max-size", "lots"], {}, "--max-size 20GiB"),
    ([], {"PYDIB_CACHE_SIZE": "lots"}, "PYDIB_CACHE_SIZE=20GiB")])
def test_a_wrong_size_of_the_cache_is_refused_with_its_name(
        tmp_path: Path, words: list[str], variables: dict[str, str], example: str) -> None:
    done = call("pydib", "cache", "gc", "--image-cache", str(tmp_path), *words, **variables)
    assert done.returncode == 1
    assert "'lots' is not a size" in done.stderr
    assert f"for example {example}" in done.stderr
    assert list(tmp_path.iterdir()) == []
