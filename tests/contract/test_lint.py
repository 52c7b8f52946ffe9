"""Where dib-lint finds something in an element, `pydib lint` does as well."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pydib.element.lint import elements_below, lint
from tests.element.test_lint import DEFECTS, FINE

NOT_ASKED = {"python", "variables"}
"""dib-lint asks flake8, which is not installed with it, and does not read what READMEs say."""


@pytest.fixture
def dib_lint(oracle_environment: Path, tmp_path: Path):
    """Run the real one over these elements; gives its exit code and output."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(oracle_environment / "bin/python")

    def run(elements: Path) -> tuple[int, str]:
        env = {"PATH": f"{programs}:{os.environ['PATH']}", "ELEMENTS_DIR": str(elements), "LIB_DIR": str(programs)}
        done = subprocess.run([oracle_environment / "bin/dib-lint"], env=env, cwd=tmp_path, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    return run


def write(folder: Path, path: str, text: str, mode: int) -> Path:
    file = folder / "elements/app" / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(mode)
    (folder / "elements/app/README.rst").write_text("app\n")
    return folder / "elements"


@pytest.mark.parametrize(("rule", "path", "text", "mode"), [case[:4] for case in DEFECTS if case[0] not in NOT_ASKED])
def test_dib_lint_finds_the_same_defects(dib_lint, tmp_path, rule, path, text, mode):
    if "-o pipefail" in text and path.endswith("10-a"):
        text = text.replace("-eu -o pipefail", "-eu\nset -o pipefail")  # it wants a line of its own
    code, output = dib_lint(write(tmp_path, path, text, mode))
    assert code == 1, output


@pytest.mark.parametrize(("path", "text"), FINE)
def test_dib_lint_allows_what_is_fine_but_for_our_betterments(dib_lint, tmp_path, path, text):
    code, output = dib_lint(write(tmp_path, path, text.replace("-eu -o pipefail", "-eu\nset -o pipefail"), 0o755))
    better = "euo pipefail" in text or "the one which is" in text or "below=" in text
    assert code == (1 if better else 0), output


def test_dibs_own_elements_are_clean_for_both(real_elements):
    found = [str(one) for element in elements_below(real_elements)
             for one in lint(element, ignored=frozenset(NOT_ASKED))]
    assert found == []
