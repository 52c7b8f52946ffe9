"""The disk is offered to a deployment server."""

import pytest


@pytest.fixture
def piece(piece_of_init):
    return piece_of_init("deploy-baremetal", "80-deploy-baremetal")


LINE = "iscsi_target_iqn=iqn.x:d disk=vda deployment_id=7 deployment_key=a&b boot_server=10.0.2.2"
KNOWN = """start_iscsi_target() { echo "start $*"; [ -z "$BROKEN" ]; }
stop_iscsi_target() { echo "stop $*"; }
. "$here/init.d/20-init-variables"
"""


@pytest.fixture
def machine(commands, fake_root):
    commands.fake("wget", "nc", "sleep", "mount")
    commands.on("ip").prints("2: eth0    inet 10.0.2.15/24 scope global eth0")
    fake_root.write("/fake/dev/vda", "")


def test_it_reports_and_waits(piece, machine):
    run = piece(LINE, KNOWN, 'echo "first: $FIRST_ERR_MSG"')
    assert run.ok, run.output
    assert run.called("wget", "i=7&k=a%26b&a=10.0.2.15&n=iqn.x%3Ad&e=", "http://10.0.2.2:10000/")
    assert "start iqn.x:d /fake/dev/vda" in run.output and "stop iqn.x:d" in run.output
    assert run.called("nc", "-l", "10000") and "first: \n" in run.output


@pytest.mark.parametrize(("line", "before", "error"), [
    (LINE.replace("disk=vda", "disk=sdz"), "DISK_TRIES=1", "there%20is%20none%20of%20the%20disks%20sdz"),
    (LINE.replace("iscsi_target_iqn", "other"), "", "the%20kernel%20parameter%20iscsi_target_iqn%20is%20missing"),
    (LINE, "BROKEN=yes", "%2Ffake%2Fdev%2Fvda%20could%20not%20be%20offered%20over%20iSCSI"),
])
def test_a_failure_is_reported(piece, machine, line, before, error):
    run = piece(line, KNOWN + before)
    assert f"&e={error}" in "\n".join(run.lines) and not run.called("nc")


def test_a_boot_server_that_does_not_listen(piece, machine, commands):
    commands.on("wget").exits(1)
    run = piece(LINE + ":8080", KNOWN)
    assert "the boot server 10.0.2.2:8080 takes no report" in run.output and not run.called("nc")
