"""The base of Trove guests on Ubuntu 14.04."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_it_is_ubuntus_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-guest"]
    assert variable("ubuntu-trusty-guest", "DIB_RELEASE") == "trusty"
