"""Apache Cassandra for Trove guests on Ubuntu 14.04."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_it_is_for_its_release(variable):
    assert (HERE / "element-deps").read_text().split() == ["ubuntu-cassandra"]
    assert variable("ubuntu-trusty-cassandra", "DIB_RELEASE") == "trusty"


def test_the_repository_is_the_vendors_to_the_letter(vendor, fake_root):
    run = vendor("ubuntu-24.04", "ubuntu-trusty-cassandra", "pre-install.d/40-cassandra",
                 env={"DIB_RELEASE": "trusty"})
    assert run.called("curl", "https://downloads.apache.org/cassandra/KEYS")
    assert fake_root.read("/etc/apt/sources.list.d/cassandra-21x.list") == (
        "deb https://debian.cassandra.apache.org 21x main\n")


def test_java_is_one_that_the_release_has(variable):
    assert variable("ubuntu-trusty-cassandra", "CASSANDRA_JAVA") == "7"
