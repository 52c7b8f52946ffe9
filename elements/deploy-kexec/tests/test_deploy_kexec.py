"""What has been deployed starts at once."""

import pytest


@pytest.fixture
def piece(piece_of_init):
    return piece_of_init("deploy-kexec", "81-kexec")


CONFIG = """default boot
label deploy
kernel deploy_kernel
append initrd=deploy_ramdisk deploying
label boot
  kernel 7/kernel
  append initrd=7/ramdisk root=UUID=1 ro text
"""
KNOWN = "BOOT_SERVER=10.0.2.2:99 BOOT_MAC=52:54:00:aa:bb:cc PXE_TRIES=1\n"


@pytest.fixture
def server(commands, fake_root):
    """A TFTP server whose file for this machine is as it is told."""
    commands.fake("kexec", "sleep", "sync")

    def offers(config):
        fake_root.write("/fake/pxelinux", config)
        commands.on("tftp").does("if [ $5 = /tmp/pxelinux ]; then cat /fake/pxelinux >$5; else echo x >$5; fi")

    return offers


@pytest.mark.parametrize(("config", "kernel", "ramdisk", "line"), [
    (CONFIG, "7/kernel", "7/ramdisk", "root=UUID=1 ro text"),
    ("label one\nlinux k\ninitrd r\n", "k", "r", ""),
    ("kernel 7/deploy_kernel\nappend initrd=7/deploy_ramdisk ro\n", "9/kernel", "9/ramdisk", "ro"),
])
def test_the_entry_is_started(piece, server, config, kernel, ramdisk, line):
    server(config)
    run = piece("BOOT_IMAGE=9/deploy_kernel", KNOWN)
    assert run.ok, run.output
    assert run.called("tftp", "pxelinux.cfg/01-52-54-00-aa-bb-cc", "10.0.2.2")
    assert run.called("tftp", kernel, "/tmp/kernel") and run.called("tftp", ramdisk, "/tmp/ramdisk")
    assert run.called("kexec", "--load", "--initrd=/tmp/ramdisk", f"--append={line}") and run.called("kexec", "--exec")


def test_a_server_without_an_entry(piece, commands, fake_root):
    commands.fake("sleep", "kexec")
    commands.on("tftp").exits(1)
    fake_root.write("/fake/net/eth0/address", "52:54:00:00:00:01\n")
    run = piece("", KNOWN + "BOOT_MAC=")
    assert "has nothing to start for 52:54:00:00:00:01" in run.output and not run.called("kexec")


def test_an_entry_that_still_deploys_and_no_name(piece, server):
    server("kernel deploy_kernel\n")
    assert "has nothing to start" in piece("", KNOWN).output


def test_files_that_cannot_be_fetched_or_started(piece, server, commands):
    server(CONFIG)
    commands.on("kexec", "--load").exits(1)
    assert "7/kernel cannot be started" in piece("", KNOWN).output
    commands.on("tftp", "7/kernel").exits(1)
    run = piece("", KNOWN)
    assert "7/kernel or 7/ramdisk cannot be fetched" in run.output and not run.called("kexec", "--exec")


def test_after_a_failure_nothing_is_started(piece, commands):
    commands.fake("tftp", "kexec")
    assert piece("", KNOWN + "FIRST_ERR_MSG=wrong").lines == []
