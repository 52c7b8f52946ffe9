"""Percona Server for MySQL for Trove guests on Ubuntu 16.04."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_it_is_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-percona"]
    assert variable("ubuntu-xenial-percona", "DIB_RELEASE") == "xenial"


def test_the_repository_is_the_vendors_to_the_letter(vendor, fake_root):
    run = vendor("ubuntu-24.04", "ubuntu-xenial-percona", "pre-install.d/40-percona",
                 env={"DIB_RELEASE": "xenial"}, fingerprint="4D1BB29D63D98E422B2113B19334A25F8507EFA5")
    assert run.called("curl", "https://repo.percona.com/yum/PERCONA-PACKAGING-KEY")
    assert fake_root.read("/etc/apt/sources.list.d/percona-ps-56.list") == (
        "deb https://repo.percona.com/apt xenial main\n")
