"""What pydib plan says of layers where there are none. tests/machine/test_layers.py has it for each kind of change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pydib.build import prepare
from pydib.build.forecast import forecast
from pydib.layer.store import Store
from pydib.recipe import from_environment


@pytest.mark.parametrize("given", [{}, {"secrets": ("TOKEN",)}, {"layers": False}])
def test_without_a_store_everything_runs_and_nothing_is_made(
        tmp_path: Path, fixtures: Path, given: dict[str, object]) -> None:
    env = {"ELEMENTS_PATH": str(fixtures / "elements"), "HOME": str(tmp_path), "PATH": os.environ["PATH"],
           "TOKEN": "hush"}
    prepared = prepare(from_environment(env, elements=("tiny-os",), skip_base=True, **given))
    told = forecast(prepared, Store(tmp_path / "layers"))
    assert [(one.script, one.verdict) for one in told] == [("root.d/10-tiny-os", "runs")]
    assert told[0].reason == ("--no-cache" if given == {"layers": False} else "no layer yet")
    assert list(tmp_path.iterdir()) == []
