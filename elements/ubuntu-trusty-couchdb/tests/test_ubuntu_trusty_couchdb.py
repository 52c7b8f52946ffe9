"""Apache CouchDB for Trove guests on Ubuntu 14.04."""

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent.parent


def test_it_is_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["package-installs"]
    assert variable("ubuntu-trusty-couchdb", "DIB_RELEASE") == "trusty"


def test_what_is_installed():
    assert yaml.safe_load((HERE / "package-installs.yaml").read_text()) == {"couchdb": None}
