"""`$DIB_PYTHON_EXEC $_LIB/element-info.py` (C-041, C-042), and the names that Python scripts import (C-043)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.lib.conftest import LIB

OTHER_PYTHON = "/usr/bin/python3"


def run(*arguments: str, python: str = sys.executable, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True,
                          check=False, cwd="/")


def info(*arguments: str, elements: Path | str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return run(str(LIB / "element-info.py"), *arguments, python=python, ELEMENTS_PATH=str(elements))


@pytest.fixture
def elements(tmp_path):
    """An operating system `os-x` that needs `tool`, and `web` on top."""
    for name, deps, provides in (("os-x", "tool\n", "operating-system\n"), ("tool", "", ""), ("web", "tool\n", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "element-deps").write_text(deps)
        (tmp_path / name / "element-provides").write_text(provides)
    return tmp_path


@pytest.mark.contract("C-041")
def test_names_stand_on_one_line(elements):
    done = info("web", "os-x", elements=elements)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert sorted(done.stdout.split()) == ["os-x", "tool", "web"]


@pytest.mark.contract("C-041", "C-198")
@pytest.mark.parametrize("option", ["--env", "-e"])
def test_env_is_code_for_bash(option, elements):
    code = info(option, "os-x", elements=elements).stdout
    asks = ('eval "$1"; echo "$IMAGE_ELEMENT"; bash -c "declare -A found=($(get_image_element_array)); '
            'echo \\"\\${found[tool]}\\"; get_image_element_array"; printenv IMAGE_ELEMENT_YAML')
    done = subprocess.run(["bash", "-euc", asks, "-", code], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert sorted(lines[0].split()) == ["os-x", "tool"]
    assert lines[1] == f"{elements}/tool"
    assert f"[os-x]={elements}/os-x " in lines[2]
    assert yaml.safe_load(lines[3]) == {"os-x": f"{elements}/os-x", "tool": f"{elements}/tool"}


@pytest.mark.contract("C-042", verdict="bettered", note="one message instead of a traceback")
@pytest.mark.parametrize(("wanted", "path", "says"), [
    (["nope", "os-x"], None, "nope"), (["web"], None, "no operating system"),
    (["web"], "", "ELEMENTS_PATH must be set"),
    (["web"], "/nonexistent", "/nonexistent on ELEMENTS_PATH is not a folder")])
def test_errors_are_one_message_and_status_1(wanted, path, says, elements):
    done = info(*wanted, elements=elements if path is None else path)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_without_elements_the_usage_is_wrong(elements):
    assert info(elements=elements).returncode == 2


@pytest.mark.contract("C-041", "C-062")
def test_the_answer_is_that_of_dib_for_its_own_elements(oracle_lib):
    path = oracle_lib.parent / "elements"
    wanted = ["debian-minimal", "vm", "block-device-mbr", "cloud-init-nocloud", "growroot"]
    theirs = run(str(oracle_lib / "element-info.py"), *wanted, ELEMENTS_PATH=str(path),
                 python=str(oracle_lib.parents[4] / "bin/python"))
    ours = info(*wanted, elements=path)
    assert theirs.returncode == 0
    assert sorted(ours.stdout.split()) == sorted(theirs.stdout.split())


def other_python() -> str:
    """A Python that knows nothing of our virtual environment, but YAML."""
    if not shutil.which(OTHER_PYTHON) or run("-c", "import yaml, sys; sys.exit(sys.version_info < (3, 11))",
                                             python=OTHER_PYTHON).returncode:
        pytest.skip(f"{OTHER_PYTHON} is not Python 3.11 or later with PyYAML")
    return OTHER_PYTHON


@pytest.mark.contract("C-001", "C-002")
def test_another_python_finds_pydib_beside_the_library(elements):
    done = info("os-x", elements=elements, python=other_python())
    assert sorted(done.stdout.split()) == ["os-x", "tool"], done.stderr


def shim(code: str, *, python: str = sys.executable, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as a script on the host would."""
    return run("-c", code, python=python, PYTHONPATH=str(LIB / "python"), **env)


@pytest.mark.contract("C-043")
def test_scripts_import_get_elements(elements):
    code = ("import json; from diskimage_builder.element_dependencies import get_elements, expand_dependencies\n"
            f"print(json.dumps([get_elements(['os-x']), sorted(expand_dependencies(['os-x'], '{elements}'))]))")
    done = shim(code, ELEMENTS_PATH=str(elements))
    pairs, names = json.loads(done.stdout)
    assert sorted(map(tuple, pairs)) == [("os-x", f"{elements}/os-x"), ("tool", f"{elements}/tool")]
    assert names == ["os-x", "tool"]


@pytest.mark.contract("C-043")
def test_scripts_catch_errors_by_dibs_names(elements):
    code = ("from diskimage_builder import element_dependencies as deps\n"
            "for error, wanted in ((deps.MissingElementException, 'nope'), (deps.MissingOSException, 'web')):\n"
            "    try: deps.get_elements([wanted])\n"
            "    except error: print('caught')")
    assert shim(code, ELEMENTS_PATH=str(elements)).stdout == "caught\ncaught\n"


@pytest.mark.contract("C-043")
def test_scripts_ask_for_paths():
    code = "from diskimage_builder import paths; paths.show_path('lib'); print(paths.get_path('elements'))"
    lib, elements = shim(code).stdout.splitlines()
    assert lib == str(LIB)
    assert (Path(elements) / "package-installs").is_dir()
    assert shim("from diskimage_builder.paths import get_path; get_path('moon')").returncode == 1


@pytest.mark.contract("C-043", "C-186")
@pytest.mark.parametrize("trace", ["0", "1"])
def test_scripts_log_as_dibs_do(trace, oracle_lib):
    code = ("import logging; from diskimage_builder import logging_config; logging_config.setup()\n"
            "log = logging.getLogger('a.b'); log.info('one %s', 2); log.debug('three'); log.error('four')")
    theirs = run("-c", code, python=str(oracle_lib.parents[4] / "bin/python"), DIB_DEBUG_TRACE=trace)
    ours = shim(code, DIB_DEBUG_TRACE=trace)
    assert ours.stderr == theirs.stderr


def test_logging_can_be_configured_by_a_file(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps({
        "version": 1, "formatters": {"f": {"format": "<%(message)s>"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
        "root": {"level": "ERROR", "handlers": ["h"]}}))
    code = ("import logging; from diskimage_builder import logging_config; logging_config.setup()\n"
            "logging.error('one'); logging.warning('two')")
    assert shim(code, DIB_PYTHON_LOGGING_CONFIG_FILE=str(tmp_path / "log.json")).stderr == "<one>\n"


@pytest.mark.contract("C-043", "C-240")
def test_dibs_package_installs_squash_runs(tmp_path, oracle_lib):
    """DIB's own script, on a Python that has no diskimage-builder."""
    squash = oracle_lib.parent / "elements/package-installs/bin/package-installs-squash"
    (tmp_path / "web").mkdir()
    (tmp_path / "web/package-installs.yaml").write_text("nginx:\nvim:\n  uninstall: True\n")
    done = run(str(squash), "--elements=web", f"--path={tmp_path}", str(tmp_path / "out.json"), python=sys.executable,
               PYTHONPATH=str(LIB / "python"), ARCH="amd64", DIB_DEBUG_TRACE="0")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "install.d": {"install": [["nginx", "web"]], "uninstall": [["vim", "web"]]}}


@pytest.mark.contract("C-043")
def test_another_python_imports_the_names_too(elements):
    code = "from diskimage_builder.element_dependencies import get_elements as g; print(len(g(['os-x'])))"
    assert shim(code, python=other_python(), ELEMENTS_PATH=str(elements)).stdout == "2\n"
