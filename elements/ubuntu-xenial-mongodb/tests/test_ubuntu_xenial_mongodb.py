"""MongoDB for Trove guests on Ubuntu 16.04."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_it_is_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-mongodb"]
    assert variable("ubuntu-xenial-mongodb", "DIB_RELEASE") == "xenial"


def test_the_repository_is_the_vendors_to_the_letter(vendor, fake_root):
    run = vendor("ubuntu-24.04", "ubuntu-xenial-mongodb", "pre-install.d/40-mongodb",
                 env={"DIB_RELEASE": "xenial"}, fingerprint="42F3E95A2C4F08279C4960ADD68FA50FEA312927")
    assert run.called("curl", "https://pgp.mongodb.com/server-3.2.asc")
    assert fake_root.read("/etc/apt/sources.list.d/mongodb-org-3.2.list") == (
        "deb https://repo.mongodb.org/apt/ubuntu xenial/mongodb-org/3.2 multiverse\n")
