"""Percona XtraDB Cluster 8.0, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-pxc"


@pytest.fixture
def run(vendor):
    return vendor("ubuntu-24.04", "ubuntu-pxc", SCRIPT, fingerprint="4D1BB29D63D98E422B2113B19334A25F8507EFA5")


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://repo.percona.com/yum/PERCONA-PACKAGING-KEY")
    assert fake_root.read("/etc/apt/sources.list.d/percona-pxc-80.sources") == (
        "Types: deb\nURIs: https://repo.percona.com/pxc-80/apt\nSuites: noble\nComponents: main\n"
        "Signed-By: /etc/apt/keyrings/percona-pxc-80.asc\n")


def test_what_is_installed():
    assert yaml.safe_load((HERE / "package-installs.yaml").read_text()) == {
        "percona-xtradb-cluster": {"when": "PERCONA_SERIES = 80"},
        "percona-xtradb-cluster-56": {"when": "PERCONA_SERIES = 56"}}
