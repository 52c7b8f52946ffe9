"""The base of Trove guests on Ubuntu 16.04."""

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent.parent


def test_it_is_ubuntus_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-guest"]
    assert variable("ubuntu-xenial-guest", "DIB_RELEASE") == "xenial"


def test_the_newer_kernel_is_for_who_asks(variable):
    assert yaml.safe_load((HERE / "package-installs.yaml").read_text()) == {
        "linux-generic-hwe-16.04": {"when": "DIB_USE_HWE_KERNEL = true"}}
    assert variable("ubuntu-xenial-guest", "DIB_USE_HWE_KERNEL") == "false"
    assert variable("ubuntu-xenial-guest", "DIB_USE_HWE_KERNEL", DIB_USE_HWE_KERNEL="true") == "true"
