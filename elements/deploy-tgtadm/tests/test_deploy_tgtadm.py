"""An iSCSI target by tgtd."""

import pytest


@pytest.fixture
def functions(fake_root, element, commands):
    """Run bash code with them."""
    fake_root.like("debian-12")
    commands.fake("tgtd", "tgtadm", "sleep", "sync")
    under_test = element("deploy-tgtadm")
    assert under_test.run("extra-data.d/52-deploy-tgtadm").ok
    assert fake_root.exists("/tmp/ramdisk-build/d/iscsi-func")
    script = under_test.hooks / "install.d/50-try"
    script.parent.mkdir(exist_ok=True)

    def run(code):
        script.write_text('#!/bin/bash\nwait_for() { shift; "$@"; }\n'
                          '. "$(dirname "$0")/../deploy-tgtadm/iscsi-func"\n' + code)
        script.chmod(0o755)
        return under_test.run("install.d/50-try")

    return run


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
