"""Every element of ours can be planned with every operating system that it fits."""

from __future__ import annotations

import pytest

from tests.catalogue import matrix


@pytest.mark.parametrize("name", [element.name for element in matrix.ours()])
def test_it_can_be_planned(name: str) -> None:
    told = matrix.row(name)
    assert told and {system: problem for system, problem in told.items() if problem} == {}


def test_families_do_not_mix() -> None:
    assert not matrix.fits("yum", "debian-minimal") and not matrix.fits("debian", "ubuntu")
    assert matrix.fits("dpkg", "ubuntu") and matrix.fits("devuser", "opensuse-minimal")
    assert "bin/install-packages" in matrix.planned("yum", "debian-minimal")
