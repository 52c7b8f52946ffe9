"""The page "Test your element", followed by somebody who has nothing: an ordinary user, an empty environment, a wheel.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ordinary_user import ROOT, User, ordinary_user
from tests.testkit import page as pages

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def newcomer() -> Iterator[User]:
    """An ordinary user with subordinate ids."""
    with ordinary_user() as made:
        yield made


@pytest.fixture(scope="module")
def project(newcomer: User, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their own repository as the page has it; `pydib[testing]` is installed in its .venv, from a wheel."""
    place = newcomer.home / "my-elements"
    wheels = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, ROOT],
                   check=True)
    wheel = shutil.copy(next(wheels.glob("pydib-*.whl")), newcomer.home)
    page = pages.read()
    page.write(place)
    subprocess.run(["chown", "-R", f"{newcomer.name}:", newcomer.home], check=True)
    assert page.install == ["python3 -m venv .venv", ".venv/bin/pip install 'pydib[testing]'"]
    call(newcomer, place, "/usr/bin/python3", "-m", "venv", ".venv")
    # the package index that this machine's root is told to use, if any, is for the user as well
    config = Path("/root/.config/pip/pip.conf"), Path("/root/.pip/pip.conf")
    found = next((file for file in config if file.exists()), None)
    if found is not None:
        shutil.copy(found, place / ".venv/pip.conf")
        (place / ".venv/pip.conf").chmod(0o644)
    call(newcomer, place, ".venv/bin/pip", "install", "--quiet", f"{wheel}[testing]")
    return place


def call(user: User, place: Path, *words: str, code: int = 0) -> str:
    """Run a program as the user, in the repository, with nothing of ours in the environment."""
    argv = [word for word in user.argv(*words, cwd=place) if not word.startswith("PYTHONPATH=")]
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def test_two_elements_and_their_tests_pass_as_the_page_says(newcomer, project):
    page = pages.read()
    elements = {path.split("/")[1] for path in page.files}
    assert elements == {"redis", "motd"}
    for command in page.commands:
        told = call(newcomer, project, *command.split())
        passed = re.search(r"(\d+) passed", told)
        assert passed is not None and int(passed[1]) >= 8, told
        assert "skipped" not in told
    lines = {tuple(line.split()) for line in told.splitlines()}
    assert {tuple(line.split()) for line in page.output.splitlines()} <= lines


def test_the_commands_work_from_the_wheel(newcomer, project):
    call(newcomer, project, ".venv/bin/pydib", "new", "element", "fresh", "--in", "elements")
    assert "1 passed" in call(newcomer, project, ".venv/bin/pydib", "test", "elements/fresh")
    assert "0 findings" in call(newcomer, project, ".venv/bin/pydib", "lint", "--no-shellcheck", "elements/fresh")


def test_walls_stand_for_an_ordinary_user_too(newcomer, project):
    walls = project / "walls/test_walls.py"
    walls.parent.mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests/testkit/test_walls.py", walls)
    subprocess.run(["chown", "-R", f"{newcomer.name}:", walls.parent], check=True)
    told = call(newcomer, project, ".venv/bin/pytest", "-q", "walls")
    assert re.search(r"(?m)^3\d passed", told), told
