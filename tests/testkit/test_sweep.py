"""Every hook of DIB's own elements over every ready root that it fits: what it came to is what it came to before."""

from __future__ import annotations

import os
import subprocess

import pytest

from benchmarks import oracle
from tests.testkit.sweep import golden, run

LIMIT_SECONDS = 120


@pytest.mark.machine
def test_the_sweep_over_dibs_elements_comes_to_what_is_kept(capsys):
    try:
        elements = oracle.elements_folder()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"diskimage-builder {oracle.VERSION} cannot be installed here: {error}")
    sweep = run(elements)
    with capsys.disabled():
        print(f"\n{sweep.summary()}")
    assert sweep.differences(golden()) == []
    assert sweep.runs >= 700
    if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):  # else the figure says nothing about us
        assert sweep.seconds < LIMIT_SECONDS
