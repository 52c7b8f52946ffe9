"""`pydib trove`, as a user calls it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pydib import paths
from pydib.element.shelf import find_elements
from pydib.host.command import find_tool
from pydib.trove import rabbitmq
from pydib.trove.datastores import offered
from pydib.trove.variables import TROVE_VERSION
from tests.boot_sector import boot_disk

QEMU = pytest.mark.skipif(find_tool("qemu-system-x86_64") is None or find_tool("qemu-img") is None,
                          reason="QEMU is not installed")
PYDIB = (sys.executable, "-c", "from pydib.cli.main import run; run()")


def trove(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYDIB, "trove", *map(str, arguments)], text=True, capture_output=True, check=False,
                          timeout=120, env={**os.environ, **env})


def test_a_dry_run_shows_the_elements_and_the_equal_line(tmp_path: Path) -> None:
    done = trove("build", "--datastore", "redis", "--distro", "debian", "-a", "amd64", "--dry-run", "-o",
                 tmp_path / "a b.qcow2", "--guest-user", "me")
    assert (done.returncode, done.stderr) == (0, "")
    elements, _, script = done.stdout.partition("\n\n")
    assert {"base", "debian", "vm", "guest-agent", "debian-redis", "apt-conf-dir"} <= set(elements.splitlines())
    *exports, line = script.splitlines()
    assert "export GUEST_USERNAME=me" in exports and "export DIB_CLOUD_INIT_DATASOURCES=ConfigDrive" in exports
    assert shlex.split(line) == [
        "disk-image-create", "-a", "amd64", "-o", str(tmp_path / "a b.qcow2"), "-x", "--qemu-img-options", "compat=1.1",
        "debian", "vm", "cloud-init-datasources", "apt-conf-dir", "debian-guest", "debian-redis"]
    assert list(tmp_path.iterdir()) == []


PAIRS = sorted((distro, name) for name, distros in offered(find_elements([paths.elements_dir()])) for distro in distros)


def test_the_pairs_of_trove_are_there() -> None:
    ubuntu = "cassandra couchbase couchdb mariadb mongodb mysql percona postgresql pxc redis"
    wanted = {"fedora": "mariadb mongodb mysql percona postgresql redis", "ubuntu": ubuntu,
              "debian": "mariadb mysql postgresql redis"}
    assert {(distro, name) for distro, names in wanted.items() for name in names.split()} <= set(PAIRS)


RELEASES = ("trusty", "xenial")
WRAPPED = ("mysql", "percona", "mariadb", "redis", "cassandra", "couchbase", "mongodb", "postgresql", "couchdb", "pxc")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("datastore", WRAPPED)
def test_wrappers_of_troves_releases_are_taken(datastore: str, release: str) -> None:
    done = trove("build", "--datastore", datastore, "--distro", "ubuntu", "--release", release, "--agent", "none", "-a",
                 "amd64", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    elements = set(done.stdout.partition("\n\n")[0].splitlines())
    assert {"ubuntu-guest", f"ubuntu-{release}-guest", f"ubuntu-{release}-{datastore}"} <= elements
    assert f"export DIB_RELEASE={release}\n" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f" ubuntu-{release}-guest ubuntu-{release}-{datastore}")


@pytest.mark.parametrize(("distro", "datastore"), PAIRS)
def test_each_database_plans_on_each_distribution(distro: str, datastore: str) -> None:
    done = trove("build", "--datastore", datastore, "--distro", distro, "-a", "amd64", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    elements = set(done.stdout.partition("\n\n")[0].splitlines())
    assert {"vm", "cloud-init-datasources", f"{distro}-guest", f"{distro}-{datastore}", "guest-agent"} <= elements
    assert f"export SERVICE_TYPE={datastore}\n" in done.stdout
    words = shlex.split(done.stdout.splitlines()[-1])
    planned = subprocess.run([*PYDIB, "plan", *words[words.index("compat=1.1") + 1:]], text=True, check=False,
                             capture_output=True, env={**os.environ, "DIB_CLOUD_INIT_DATASOURCES": "ConfigDrive"})
    assert planned.returncode == 0, planned.stderr
    assert "install.d/51-guest-agent-program" in planned.stdout


def test_a_dry_run_tells_when_it_would_build_on_disk() -> None:
    line = trove("build", "--datastore", "redis", "--dry-run", USE_TMPFS="false").stdout.splitlines()[-1]
    assert line.startswith("disk-image-create --no-tmpfs ")


@pytest.mark.parametrize(("arguments", "problem"), [
    (("build", "--datastore", "nosuch"), "there is no element for the datastore 'nosuch' on debian"),
    (("build", "--datastore", "redis", "--distro", "nosuch"), "no guest element for the distribution 'nosuch'"),
    (("build", "--datastore", "redis", "--agent", "sync"), "--agent sync needs --scp-user (HOST_SCP_USERNAME)"),
    (("build", "--datastore", "couchbase", "--distro", "ubuntu"), "is installed from a package that you have"),
    (("build", "--datastore", "couchbase", "--distro", "ubuntu", "--package-location", "/no.deb"), "is not there"),
    (("build", "--datastore", "mysql", "--containers", "/no.tar"), "/no.tar is not there"),
    (("build", "--datastore", "redis", "--containers", "/no.tar"), "no manager that runs 'redis' in a container"),
    (("build", "--datastore", "redis", "--apt-conf-dir", "/no/such"), "/no/such is no folder"),
    (("build", "--datastore", "redis", "--trove-version", "9.9"), "no set of pinned packages for trove 9.9"),
    (("build", "--datastore", "redis", "--trove-version", "newest"), "'newest' is no release of trove"),
    (("build", "--datastore", "mysql", "--trove-version", "13.0.1"), "trove 13.0.1 has no manager for today's mysql"),
    (("build", "--datastore", "mysql", "--trove-version", "13.0.1", "--containers", "/"), "runs no database in a"),
    (("build", "--datastore", "redis", "--release", "trixie", "--trove-version", "13.0.1"),
     "trove 13.0.1 needs Python 3.11, and debian trixie has 3.13"),
    (("build", "--datastore", "mysql", "--distro", "ubuntu", "--release", "xenial"),
     "trove 26.0.0 needs Python 3.11, and ubuntu xenial has 3.5"),
    (("build", "--datastore", "redis", "-a", "s390x"), "packages are not made for s390x"),
    (("boot", "/no/such/redis.qcow2"), "there is no such disk image"),
    (("boot", "/no/such/image.qcow2"), "does not say which database is in it"),
])
def test_what_cannot_be_is_one_message(arguments: tuple[str, ...], problem: str) -> None:
    done = trove(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr and "next: " in done.stderr and "Traceback" not in done.stderr


def test_the_agents_element_takes_the_same_release_when_none_is_named() -> None:
    file = paths.elements_dir() / "guest-agent" / "environment.d" / "50-guest-agent.bash"
    told = subprocess.run(["bash", "-c", 'source "$1"; echo "$TROVE_VERSION"', "bash", file], text=True, check=True,
                          capture_output=True, env={"PATH": os.environ["PATH"]}).stdout
    assert told == f"{TROVE_VERSION}\n"


@QEMU
@pytest.mark.parametrize(("broker", "problem"), [
    ("rabbit://127.0.0.1:1/", "the broker cannot be reached"), ("127.0.0.1", "names no message broker")])
def test_a_broker_that_is_not_there_is_one_message(tmp_path: Path, broker: str, problem: str) -> None:
    (tmp_path / "redis.raw").write_bytes(boot_disk("hello\r\n"))
    done = trove("boot", tmp_path / "redis.raw", "--broker", broker)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr and "next: " in done.stderr and "Traceback" not in done.stderr


@QEMU
@pytest.mark.skipif(not rabbitmq.is_installed(), reason="rabbitmq-server is not installed")
def test_a_machine_without_an_agent_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "redis.raw").write_bytes(boot_disk("I am no guest\r\n"))
    done = trove("boot", tmp_path / "redis.raw", "--timeout", "3")
    assert done.returncode == 1
    assert "the guest agent did not come to its queue within 3 s" in done.stderr
    assert "I am no guest" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ["cryptography", "kombu"])
def test_without_its_libraries_it_says_how_to_install_them(library: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; {PYDIB[2]}"
    done = subprocess.run([sys.executable, "-c", program, "trove", "boot", "redis.qcow2"], text=True, check=False,
                          capture_output=True)
    assert done.returncode == 1
    assert "pip install 'pydib[trove]'" in done.stderr and "Traceback" not in done.stderr


def test_databases_are_listed_with_their_distributions() -> None:
    rows = dict(line.split(maxsplit=1) for line in trove("datastores").stdout.splitlines())
    assert "debian" in rows["redis"] and "debian" in rows["mysql"] and "debian" in rows["postgresql"]
