"""The old name of deploy-baremetal."""

from pathlib import Path

from pydib.element.resolve import resolve
from pydib.element.shelf import find_elements

OURS = Path(__file__).resolve().parents[2]


def test_it_brings_deploy_baremetal(element):
    assert (element("deploy").hooks / "init.d/80-deploy-baremetal").exists()


def test_deploy_ironic_stands_for_it():
    names = resolve(["deploy-ironic", "deploy-kexec", "busybox"], find_elements([OURS])).names
    assert "deploy-ironic" in names and "deploy" not in names and "deploy-baremetal" not in names
