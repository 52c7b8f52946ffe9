"""Mounts of these tests are nobody else's business."""

from __future__ import annotations

import ctypes
import os

import pytest

from pydib.host.command import run

_CLONE_NEWNS = 0x00020000


@pytest.fixture(scope="session")
def own_mounts() -> None:
    """A mount namespace of the test run's own, until it ends: what its tests have mounted is not copied into the
    namespaces that other programs make at the same time, where it would keep loop devices in use."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    run("mount", "--make-rprivate", "/")


@pytest.fixture(autouse=True)
def mounts_of_machine_tests(request: pytest.FixtureRequest) -> None:
    """Tests that mount do so in there."""
    if request.node.get_closest_marker("machine") and os.geteuid() == 0:
        request.getfixturevalue("own_mounts")
