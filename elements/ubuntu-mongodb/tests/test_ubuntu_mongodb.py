"""MongoDB 8.0, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-mongodb"


@pytest.fixture
def run(fake_root, element, commands):
    fake_root.like("ubuntu-24.04")
    for place in ("/etc/apt/sources.list.d", "/etc/yum.repos.d"):
        fake_root.mkdir(place)
    commands.on("curl").does('while [ "$1" != --output ]; do shift; done; echo key >"$2"')
    commands.fake("gpg")
    commands.on("gpg", "--show-keys").prints("fpr:::::::::4B0752C1BCA238C0B4EE14DC41DE058A4E7DCA05:")
    made = element("ubuntu-mongodb").run(SCRIPT)
    assert made.ok, made.output
    return made


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://pgp.mongodb.com/server-8.0.asc")
    assert fake_root.read("/etc/apt/sources.list.d/mongodb-org-8.0.sources") == (
        "Types: deb\nURIs: https://repo.mongodb.org/apt/ubuntu\nSuites: noble/mongodb-org/8.0\nComponents: multiverse\n"
        "Signed-By: /etc/apt/keyrings/mongodb-org-8.0.asc\n")


def test_what_is_installed():
    assert list(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == ["mongodb-org"]
