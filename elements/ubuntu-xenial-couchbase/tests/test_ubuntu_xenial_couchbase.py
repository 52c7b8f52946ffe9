"""Couchbase Server for Trove guests on Ubuntu 16.04."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_it_is_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-couchbase"]
    assert variable("ubuntu-xenial-couchbase", "DIB_RELEASE") == "xenial"
