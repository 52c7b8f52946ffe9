"""What the machine has is told to ironic-discoverd."""

import json

import pytest


@pytest.fixture
def piece(piece_of_init):
    return piece_of_init("ironic-discoverd-ramdisk", "80-ironic-discoverd")


URL = "discoverd_callback_url=http://10.0.2.2/v1/continue"


@pytest.fixture
def machine(commands, fake_root):
    """Two cards, one of them with an address; jq and awk are real."""
    commands.real("jq")
    commands.fake("curl", "modprobe", "poweroff", "sync")
    commands.on("ip", "eth0").prints("2: eth0    inet 10.0.2.15/24 scope global eth0")
    commands.on("dmidecode").prints("Size: 2048 MB\nSize: 1 GB\nSize: No Module Installed")
    commands.on("lsblk").prints("1073741824 rom\n10737418240 disk")
    commands.on("ipmitool", "lan").prints("IP Address Source : DHCP\nIP Address              : 10.9.9.9")
    commands.on("lscpu").prints("Architecture:        x86_64")
    commands.on("lscpu", "-p").prints("# comment\n0,0\n1,1")
    for number in range(2):
        fake_root.write(f"/fake/net/eth{number}/address", f"52:54:00:aa:bb:0{number}\n")


def told(fake_root):
    return json.loads(fake_root.read("/tmp/discoverd.json"))


def test_it_is_sent_and_the_machine_goes_off(piece, machine, fake_root):
    run = piece("ironic_callback_url=http://10.0.2.2/old")
    assert run.called("curl", "@/tmp/discoverd.json", "http://10.0.2.2/old") and run.called("poweroff"), run.output
    assert told(fake_root) == {
        "interfaces": {"eth0": {"mac": "52:54:00:aa:bb:00", "ip": "10.0.2.15"},
                       "eth1": {"mac": "52:54:00:aa:bb:01", "ip": None}},
        "ipmi_address": "10.9.9.9", "cpu_arch": "x86_64", "memory_mb": 3072, "cpus": 2, "local_gb": 9}
    assert not run.called("ipmitool", "user")


@pytest.mark.parametrize("fails", [False, True])
def test_the_bmc_gets_an_account(piece, machine, fake_root, commands, fails):
    answer = '{"ipmi_setup_credentials": true, "ipmi_username": "admin", "ipmi_password": "a secret"}'
    commands.on("curl").does(f"echo '{answer}' >/tmp/discoverd")
    if fails:
        commands.on("ipmitool", "user", "enable").exits(1)
    run = piece(URL, "BOOT_MAC=52:54:00:aa:bb:00\nerr_msg before\nFIRST=$FIRST_ERR_MSG FIRST_ERR_MSG=")
    assert run.called("ipmitool", "password", "2", "a secret")
    assert told(fake_root)["boot_interface"] == "52:54:00:aa:bb:00"
    assert ("the BMC takes no account" in run.output) is fails and run.called("poweroff") is not fails


def test_what_went_wrong_before_is_told(piece, machine, fake_root):
    piece(URL, "FIRST_ERR_MSG=wrong")
    assert told(fake_root)["error"] == "wrong"


def test_nobody_to_tell(piece, machine, commands):
    assert "discoverd_callback_url is missing" in piece().output
    commands.on("curl").exits(22)
    run = piece(URL)
    assert "http://10.0.2.2/v1/continue takes no report" in run.output and not run.called("poweroff")
