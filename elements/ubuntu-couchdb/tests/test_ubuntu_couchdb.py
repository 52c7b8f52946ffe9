"""Apache CouchDB, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-couchdb"


@pytest.fixture
def run(vendor, commands):
    commands.on("debconf-set-selections").does('cat "$1" >/tmp/answers')
    return vendor("ubuntu-24.04", "ubuntu-couchdb", SCRIPT, fingerprint="390EF70BB1EA12B2773962950EE62FB37A00258D")


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://couchdb.apache.org/repo/keys.asc")
    assert fake_root.read("/etc/apt/sources.list.d/couchdb.sources") == (
        "Types: deb\nURIs: https://apache.jfrog.io/artifactory/couchdb-deb/\nSuites: noble\nComponents: main\n"
        "Signed-By: /etc/apt/keyrings/couchdb.asc\n")


def test_nobody_has_a_password_that_all_know(run, fake_root):
    assert fake_root.read("/tmp/answers") == "couchdb couchdb/mode select none\n"


def test_what_is_installed():
    assert list(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == ["couchdb"]
