"""PostgreSQL for Trove guests on Ubuntu 16.04."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_it_is_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-postgresql"]
    assert variable("ubuntu-xenial-postgresql", "DIB_RELEASE") == "xenial"
