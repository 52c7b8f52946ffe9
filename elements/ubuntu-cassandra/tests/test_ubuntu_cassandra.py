"""Apache Cassandra 4.1, from its vendor's repository."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
SCRIPT = "pre-install.d/40-cassandra"


@pytest.fixture
def run(vendor):
    return vendor("ubuntu-24.04", "ubuntu-cassandra", SCRIPT)


def test_the_repository_is_the_vendors_to_the_letter(run, fake_root):
    assert run.called("curl", "https://downloads.apache.org/cassandra/KEYS")
    assert fake_root.read("/etc/apt/sources.list.d/cassandra-41x.sources") == (
        "Types: deb\nURIs: https://debian.cassandra.apache.org\nSuites: 41x\nComponents: main\n"
        "Signed-By: /etc/apt/keyrings/cassandra-41x.asc\n")


def test_what_is_installed():
    wanted = yaml.safe_load((HERE / "package-installs.yaml").read_text())
    assert list(wanted) == [*(f"openjdk-{java}-jre-headless" for java in (7, 8, 11)), "cassandra"]
    assert wanted["openjdk-11-jre-headless"] == {"when": "CASSANDRA_JAVA = 11"}


def test_the_newest_java_that_it_runs_under_is_taken(variable):
    assert (variable("ubuntu-cassandra", "CASSANDRA_JAVA"), variable("ubuntu-cassandra", "CASSANDRA_RELEASE")) == (
        "11", "41x")
