"""MongoDB 8.0, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-mongodb"


@pytest.fixture
def run(vendor):
    return vendor("ubuntu-24.04", "ubuntu-mongodb", SCRIPT, fingerprint="4B0752C1BCA238C0B4EE14DC41DE058A4E7DCA05")


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://pgp.mongodb.com/server-8.0.asc")
    assert fake_root.read("/etc/apt/sources.list.d/mongodb-org-8.0.sources") == (
        "Types: deb\nURIs: https://repo.mongodb.org/apt/ubuntu\nSuites: noble/mongodb-org/8.0\nComponents: multiverse\n"
        "Signed-By: /etc/apt/keyrings/mongodb-org-8.0.asc\n")


def test_a_series_whose_key_is_not_known_is_refused(fake_root, element):
    fake_root.like("ubuntu-24.04")
    run = element("ubuntu-mongodb").run(SCRIPT, env={"MONGODB_SERIES": "9.9"})
    assert run.exit_code == 1 and "the key of MongoDB 9.9 is not known" in run.output


def test_what_is_installed():
    assert list(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == ["mongodb-org"]
