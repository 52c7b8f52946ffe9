"""Trove guests: built with one command, booted with another; the real agent brings the database up."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pydib.trove import rabbitmq
from tests.boot.conftest import pydib

pytestmark = [
    pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it"),
    pytest.mark.skipif(not rabbitmq.is_installed(), reason="rabbitmq-server is not installed"),
]
BIGGEST_MIB = 500


@pytest.fixture(scope="session")
def guest_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the guest image of a database on Debian; asked again, gives the same."""
    made: dict[str, Path] = {}

    def build(datastore: str) -> Path:
        if datastore not in made:
            image = tmp_path_factory.mktemp("trove") / f"debian_{datastore}.qcow2"
            done = pydib("trove", "build", "--datastore", datastore, "--distro", "debian", "-o", image)
            assert "openstack image create" in done.stdout
            made[datastore] = image
        return made[datastore]

    return build


@pytest.mark.parametrize(("datastore", "question", "answer"), [
    pytest.param("redis", "PING", "PONG", marks=pytest.mark.proves(
        "debian-guest", "debian-redis", "guest-agent", "apt-conf-dir", how="boot")),
    pytest.param("postgresql", "SELECT 6 * 7", "42", marks=pytest.mark.proves("debian-postgresql", how="boot")),
    pytest.param("mysql", "SELECT 6 * 7", "42", marks=pytest.mark.proves("debian-mysql", how="boot")),
])
def test_the_agent_brings_the_database_up(guest_of: Callable[[str], Path], datastore: str, question: str, answer: str
                                          ) -> None:
    done = pydib("trove", "boot", guest_of(datastore))
    told = done.stdout
    for what in ("the guest agent consumes its queue", "it answers rpc_ping", "prepare has ended",
                 f"the database answers {question} with {answer}"):
        assert what in told, told
    assert len(re.findall(r"heartbeat: (?:running|healthy)", told)) >= 2


def test_without_its_configuration_the_agent_waits_and_says_so(guest_of: Callable[[str], Path]) -> None:
    done = pydib("boot", "--timeout", "240", "--expect", "trove-guestagent waits: there is no", guest_of("redis"))
    assert "reached `trove-guestagent waits" in done.stdout


SEARCH = """\
mount -o ro,noload,loop,offset=1048576 "$1" "$2"
grep -rlE --binary-files=text -e '^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----' "$2" && exit 1
find "$2/root" "$2/home" -name authorized_keys -size +0 | grep . && exit 1
cut -d: -f1,2 "$2/etc/shadow" | grep -vE ':[*!]'
"""
"""Prints files with private keys, keys that open the guest, and users with passwords. Partition 1 begins at 1 MiB."""


@pytest.mark.parametrize("datastore", ["redis", "postgresql", "mysql"])
def test_the_image_is_small_and_holds_no_key_and_no_password(guest_of: Callable[[str], Path], datastore: str,
                                                             tmp_path: Path) -> None:
    image = guest_of(datastore)
    if datastore == "redis":
        assert image.stat().st_size <= BIGGEST_MIB << 20
    raw = tmp_path / "image.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    assert found_in(raw, tmp_path) == ""
    subprocess.run(["debugfs", "-w", "-R", f"write {planted_key(tmp_path)} /root/planted", f"{raw}?offset=1048576"],
                   check=True, capture_output=True)
    assert "planted" in found_in(raw, tmp_path)


def found_in(raw: Path, place: Path) -> str:
    """What the search finds in a disk."""
    (place / "mounted").mkdir(exist_ok=True)
    return subprocess.run(["unshare", "--mount", "sh", "-c", SEARCH, "sh", raw, place / "mounted"], text=True,
                          capture_output=True, check=False).stdout


def planted_key(place: Path) -> Path:
    """A file such as the search must find."""
    (place / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n")
    return place / "key"
