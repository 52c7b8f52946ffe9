"""What a freshly made guest is told."""

from __future__ import annotations

import configparser
import uuid

import pytest

from pydib.trove.guest import AGENT_CONFIGURATION, GUEST_INFO, Guest, seen_by_guest


def test_guest_info_is_what_the_agent_reads() -> None:
    guest = Guest(datastore="redis")
    seed = guest.seed("rabbit://u:p@127.0.0.1:5672/")
    info = configparser.ConfigParser()
    info.read_string(seed.files[GUEST_INFO].decode())
    known = info.defaults()
    assert str(uuid.UUID(known["guest_id"])) == guest.guest_id == seed.uuid
    assert known["datastore_manager"] == "redis"
    assert len(known["instance_rpc_encr_key"]) == 32
    agent = configparser.ConfigParser()
    agent.read_string(seed.files[AGENT_CONFIGURATION].decode())
    assert agent.defaults()["transport_url"] == "rabbit://u:p@10.0.2.2:5672/"
    assert agent.defaults()["control_exchange"] == "trove"


def test_every_guest_is_another_one_with_a_key_of_its_own() -> None:
    first, second = Guest(datastore="redis"), Guest(datastore="redis")
    assert first.guest_id != second.guest_id and first.key != second.key
    assert first.key not in repr(first)


@pytest.mark.parametrize(("url", "seen"), [
    ("rabbit://localhost/", "rabbit://10.0.2.2/"), ("rabbit://u:p@[::1]:1/v", "rabbit://u:p@10.0.2.2:1/v"),
    ("rabbit://u:p@broker.example:5672/", "rabbit://u:p@broker.example:5672/"),
])
def test_the_loopback_address_has_another_name_in_the_guest(url: str, seen: str) -> None:
    assert seen_by_guest(url) == seen
