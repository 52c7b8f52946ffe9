"""MongoDB 8.0, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-mongodb"


@pytest.fixture
def run(vendor):
    return vendor("fedora-41", "fedora-mongodb", SCRIPT, fingerprint="4B0752C1BCA238C0B4EE14DC41DE058A4E7DCA05")


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://pgp.mongodb.com/server-8.0.asc")
    assert fake_root.read("/etc/yum.repos.d/mongodb-org-8.0.repo") == (
        "[mongodb-org-8.0]\nname=mongodb-org-8.0\nbaseurl=https://repo.mongodb.org/yum/redhat/9/mongodb-org/8.0/$basearch/\nenabled=1\ngpgcheck=1\n"
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-mongodb-org-8.0\n")


def test_what_is_installed():
    assert list(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == ["mongodb-org"]
