"""Percona Server for MySQL 8.0, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-percona"


@pytest.fixture
def run(vendor):
    return vendor("fedora-41", "fedora-percona", SCRIPT, fingerprint="4D1BB29D63D98E422B2113B19334A25F8507EFA5")


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://repo.percona.com/yum/PERCONA-PACKAGING-KEY")
    assert fake_root.read("/etc/yum.repos.d/percona-ps-80.repo") == (
        "[percona-ps-80]\nname=percona-ps-80\nbaseurl=https://repo.percona.com/ps-80/yum/release/9/RPMS/$basearch\nenabled=1\ngpgcheck=1\n"
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-percona-ps-80\n")


def test_what_is_installed():
    assert list(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == ["percona-server-server"]
