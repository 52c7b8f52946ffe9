"""`pydib new element`, `pydib lint`, `pydib test`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def pydib(tmp_path: Path):
    """Run the command in a folder of its own; gives exit code, and stdout with stderr."""

    def run(*words: str, **environment: str) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIB_", "ELEMENTS_PATH"))}
        program = [sys.executable, "-c", "from pydib.cli.main import run; run()"]
        done = subprocess.run([*program, *words], cwd=tmp_path, text=True, check=False, env={**kept, **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    return run


def test_a_new_element_passes_its_first_test_and_is_clean(pydib, tmp_path):
    code, told = pydib("new", "element", "my-app")
    assert (code, told) == (0, "my-app is written. Try its test: pydib test my-app\n")
    files = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert files == ["my-app/README.rst", "my-app/element-deps", "my-app/install.d/50-my-app",
                     "my-app/tests/test_my-app.py"]
    assert pydib("lint", "my-app") == (0, "1 elements, 0 findings\n")
    code, told = pydib("test", "my-app")
    assert code == 0 and "1 passed" in told, told


@pytest.mark.parametrize(("words", "message"), [
    (["new", "element", "Bad Name"], "is no name for an element"),
    (["new", "element", "there"], "there is there already"),
    (["new", "element", "x", "--in", "file"], "the element cannot be written"),
    (["lint", "nowhere"], "nowhere is not a folder"),
    (["test", "nowhere"], "element 'nowhere' not found"),
])
def test_mistakes_get_one_message(pydib, tmp_path, words, message):
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("")
    code, told = pydib(*words)
    assert code == 1 and message in told and "Traceback" not in told, told


def test_findings_are_told_with_rule_and_line(pydib, tmp_path):
    script = tmp_path / "app/install.d/10-a"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/bash\nset -eu\nset -o pipefail\n# DIB_DEBUG_TRACE\necho $1\n")
    script.chmod(0o755)
    code, told = pydib("lint", "app")
    assert code == 1
    assert "app: there is no README.rst (readme)" in told
    assert "app/install.d/10-a:5: Double quote to prevent globbing and word splitting. (SC2086)" in told
    assert "SC2086" not in pydib("lint", "--no-shellcheck", "app")[1]
    (tmp_path / "tox.ini").write_text("[dib-lint]\nignore = readme\n")
    assert "README" not in pydib("lint", "app")[1]


def test_all_rules_are_listed(pydib):
    code, told = pydib("lint", "--rules")
    assert code == 0 and "setpipefail" in told


def test_a_failing_test_fails_the_command(pydib, tmp_path):
    pydib("new", "element", "app")
    (tmp_path / "app/install.d/50-app").write_text("#!/bin/bash\nexit 1\n")
    code, told = pydib("test", "app", "--pytest-options", "-q")
    assert code == 1 and "1 failed" in told


def test_an_element_without_tests_is_told_how_to_begin(pydib, tmp_path):
    (tmp_path / "shelf/app").mkdir(parents=True)
    code, told = pydib("test", "app", ELEMENTS_PATH=str(tmp_path / "shelf"))
    assert code == 1 and "pydib new element" in told


def test_what_would_run_is_listed(pydib, tmp_path):
    pydib("new", "element", "app")
    (tmp_path / "app/test-elements/build-succeeds").mkdir(parents=True)
    assert pydib("test", "app", "--list")[1].splitlines() == [
        str(tmp_path / "app/tests"), str(tmp_path / "app/test-elements/build-succeeds")]
    assert pydib("test", "app", "--list", "--python")[1] == f"{tmp_path}/app/tests\n"


@pytest.mark.machine
@pytest.mark.contract("C-318")
def test_test_elements_are_built_and_some_are_to_fail(pydib, tmp_path, fixtures):
    scripts = {
        "succeeds/install.d/10-fine": "true\n",
        "should-fail/install.d/10-fails": "touch /tmp/dib-test-should-fail\nexit 1\n",
        "breaks/install.d/10-breaks": "exit 3\n",
    }
    (tmp_path / "app/install.d").mkdir(parents=True)
    for path, text in scripts.items():
        script = tmp_path / "app/test-elements" / path
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\n{text}")
        script.chmod(0o755)
        (script.parents[1] / "element-deps").write_text("tiny-os\n")
    (tmp_path / "app/test-elements/succeeds/test-output-formats").write_text("tar tgz\n")
    odd = tmp_path / "it's a folder; false"
    odd.mkdir()
    code, told = pydib("test", str(tmp_path / "app"), ELEMENTS_PATH=str(fixtures / "elements"), TMPDIR=str(odd))
    assert code == 1
    verdicts = [line for line in told.splitlines() if line.startswith("app/")]
    assert verdicts[0] == "app/breaks: failed with 3"
    assert verdicts[1] == "app/should-fail: failed, as it should"
    assert verdicts[2] == "app/succeeds: passed"
    assert "image.tgz" in told


def test_an_element_is_shown_with_its_variables(pydib):
    code, told = pydib("elements", "devuser")
    assert code == 0
    assert "variables\n  DIB_DEV_USER_USERNAME (default devuser): The user's name" in told
    assert "  DIB_DEV_USER_GROUPS (not set): Groups to join" in told
    variables = json.loads(pydib("elements", "--json", "cloud-init-datasources")[1])["variables"]
    assert [(each["name"], each["required"]) for each in variables] == [("DIB_CLOUD_INIT_DATASOURCES", True)]


def test_elements_are_searched_by_a_word(pydib):
    code, told = pydib("elements", "--search", "SERIAL")
    rows = told.splitlines()
    assert code == 0 and rows[0].startswith("enable-serial-console  ")
    assert any(row.startswith("bootloader ") and "serial line" in row for row in rows)
    assert "devuser" not in told
    assert pydib("elements", "--search", "growroot")[1].splitlines()[0].split()[0] == "growroot"
    found = json.loads(pydib("elements", "--json", "--search", "serial")[1])["elements"]
    assert found[0]["name"] == "enable-serial-console" and found[0]["line"]


def test_a_search_without_a_result(pydib):
    code, told = pydib("elements", "--search", "no-such-word")
    assert code == 1 and told == "no element on ELEMENTS_PATH has 'no-such-word' in its name or README\n"
    assert pydib("elements", "--search", "x", "devuser")[0] == 2


def test_a_default_that_the_page_does_not_tell_is_a_finding(pydib, tmp_path):
    (tmp_path / "app/environment.d").mkdir(parents=True)
    (tmp_path / "app/environment.d/10-app").write_text("export DIB_APP_X=${DIB_APP_X:-1}\n")
    (tmp_path / "app/README.rst").write_text("app\n===\n")
    code, told = pydib("lint", "app")
    assert code == 1 and "app/README.rst: DIB_APP_X is missing among the variables" in told
    (tmp_path / "app/README.rst").write_text("app\n===\n\nVariables\n---------\n\nDIB_APP_X\n    Default: 1.\n")
    assert pydib("lint", "app") == (0, "1 elements, 0 findings\n")


def test_a_variable_that_nothing_reads_is_told_once(pydib):
    code, told = pydib("plan", "debian-minimal", DIB_DEBIAN_COMPONENT="main")
    assert code == 0
    assert told.splitlines()[0] == ("WARNING: DIB_DEBIAN_COMPONENT is set, but no element of this image reads it; "
                                    "did you mean DIB_DEBIAN_COMPONENTS?")
    assert "WARNING" not in pydib("plan", "debian-minimal", DIB_DEBIAN_COMPONENTS="main")[1]
