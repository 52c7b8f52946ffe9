"""An iSCSI target by tgtd."""

import pytest


@pytest.fixture
def functions(iscsi_functions, commands):
    commands.fake("tgtd", "tgtadm", "sleep", "sync")
    return iscsi_functions("deploy-tgtadm", 'wait_for() { shift; "$@"; }')


def test_a_disk_is_offered_and_taken_back(functions):
    run = functions("start_iscsi_target iqn.2026-01.org.example:d /dev/vda && stop_iscsi_target")
    assert run.ok and run.lines == [
        "tgtd --iscsi portal=0.0.0.0:3260",
        "tgtadm --lld iscsi --mode system --op show",
        "tgtadm --lld iscsi --mode target --op new --tid 1 --targetname iqn.2026-01.org.example:d",
        "tgtadm --lld iscsi --mode logicalunit --op new --tid 1 --lun 1 --backing-store /dev/vda",
        "tgtadm --lld iscsi --mode target --op bind --tid 1 --initiator-address ALL",
        "tgtadm --lld iscsi --mode target --op delete --force --tid 1",
        "tgtadm --lld iscsi --mode system --op delete",
        "sync",
    ]


@pytest.mark.parametrize(("program", "words"), [("tgtd", ()), ("tgtadm", ("show",)), ("tgtadm", ("--backing-store",))])
def test_a_failure_is_one(functions, commands, program, words):
    commands.on(program, *words).exits(1)
    assert functions("start_iscsi_target iqn /dev/vda 3261").exit_code == 1
