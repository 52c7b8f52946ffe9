"""The wheel, installed into an empty virtual environment, finds what it brings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with nothing but the wheel and what it needs."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", place, ROOT],
                   check=True)
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    wheel = next(place.glob("pydib-*.whl"))
    subprocess.run([place / "venv/bin/pip", "install", "--quiet", wheel], check=True)
    return place / "venv/bin"


def call(program: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "ELEMENTS_PATH")}
    return subprocess.run([program, *arguments], cwd="/", env=env, text=True, capture_output=True, check=True).stdout


def test_elements_and_phases_are_in_the_wheel(installed: Path) -> None:
    names = call(installed / "pydib", "elements").splitlines()
    assert names == sorted(path.name for path in (ROOT / "elements").iterdir() if path.is_dir())
    assert "finalise.d/50-bootloader" in call(installed / "pydib", "plan", "debian-minimal", "vm")


def test_scripts_in_the_wheel_are_executable(installed: Path) -> None:
    listed = call(installed / "pydib", "resolve", "debian-minimal", "vm").splitlines()
    assert len(listed) > 5
    for line in listed:
        for script in Path(line.split()[1]).glob("*.d/[0-9]*"):
            assert script.stat().st_mode & 0o111 or script.parent.name == "environment.d", script
    assert os.access(next(installed.parent.glob("lib/*/site-packages/pydib/lib/tools/sudo")), os.X_OK)


def test_the_drop_in_answers(installed: Path) -> None:
    assert call(installed / "disk-image-create", "--version").strip()
