"""What the machine has is told."""

import json
from base64 import b64decode
from urllib.parse import parse_qs

import pytest


@pytest.fixture
def piece(piece_of_init):
    return piece_of_init("hwdiscovery", "60-hwdiscovery",
                         given="MEMORY_BLOCKS=/fake/memory DISKS=/fake/disks CPU_INFO=/fake/cpuinfo")


@pytest.fixture
def machine(commands, fake_root):
    commands.fake("wget", "sleep")
    commands.on("hwinfo", "--disk").prints("a disk")
    commands.on("hwinfo", "--network").prints("a card")
    fake_root.write("/fake/cpuinfo", "processor : 0\n\nprocessor : 1\n")
    fake_root.write("/fake/memory/block_size_bytes", "8000000\n")
    for number, state in enumerate(("online", "online", "offline")):
        fake_root.write(f"/fake/memory/memory{number}/state", state + "\n")
    fake_root.write("/fake/disks/loop0/size", "1\n")
    fake_root.write("/fake/net/eth0/address", "52:54:00:aa:bb:cc\n")
    fake_root.write("/fake/net/eth1/address", "52:54:00:aa:bb:dd\n")
    for card, carrier in (("eth0", "1"), ("eth1", "0")):
        fake_root.write(f"/fake/net/{card}/carrier", carrier + "\n")


def sent(fake_root):
    form = parse_qs(fake_root.read("/tmp/hwdiscovery"), strict_parsing=True)
    assert form["hwdiscovery"] == ["true"]
    return json.loads(b64decode(form["hwdiscovery_data"][0], validate=True))


@pytest.mark.parametrize(("before", "mac", "more"), [
    ("", "52:54:00:aa:bb:cc", {}),
    ("""BOOT_MAC=52:54:00:00:00:01 _vendor_hwdiscovery_data='"slots": 4'""", "52:54:00:00:00:01", {"slots": 4}),
])
def test_it_is_sent(piece, machine, fake_root, before, mac, more):
    fake_root.write("/fake/disks/vda/size", "2048\n")
    run = piece("HW_DISCOVERY_URL=http://10.0.2.2/x", before)
    assert run.called("wget", "--post-file", "http://10.0.2.2/x"), run.output
    assert sent(fake_root) == {
        "cpu cores": "2", "disk size": "1048576", "ram size": str(2 * 0x8000000), "pxe mac": mac,
        "extra data": {"raw disk": "YSBkaXNrCg==", "raw network": "YSBjYXJkCg==", **more}}


def test_no_disk_and_nobody_to_tell(piece, machine, commands):
    run = piece()
    assert '"disk size": "0"' in run.output and "HW_DISCOVERY_URL is missing" in run.output
    commands.on("wget").exits(1)
    assert "http://x takes no report" in piece("HW_DISCOVERY_URL=http://x").output
