"""An iSCSI target by the kernel; its configfs is a folder of the fake root."""

import pytest

IQN = "iqn.2026-01.org.example:d"


@pytest.fixture
def functions(fake_root, element, commands):
    """Run bash code with them."""
    fake_root.like("debian-12")
    commands.fake("modprobe", "mount", "sync")
    under_test = element("deploy-targetcli")
    assert under_test.run("extra-data.d/52-deploy-targetcli").ok
    assert fake_root.exists("/tmp/ramdisk-build/d/iscsi-func")
    script = under_test.hooks / "install.d/50-try"
    script.parent.mkdir(exist_ok=True)

    def run(code):
        script.write_text('#!/bin/bash\nTARGET_CONFIG=/config\n. "$(dirname "$0")/../deploy-targetcli/iscsi-func"\n'
                          + code)
        script.chmod(0o755)
        return under_test.run("install.d/50-try")

    return run


def test_a_disk_is_offered_and_taken_back(functions, fake_root):
    group = f"/config/target/iscsi/{IQN}/tpgt_1"
    fake_root.mkdir(f"{group}/attrib")
    run = functions(f"start_iscsi_target {IQN} /dev/vda 3261\ncat {group}/enable\nstop_iscsi_target {IQN}\n")
    assert run.ok, run.output
    assert run.called("modprobe", "iscsi_target_mod") and "1\n" in run.output
    assert fake_root.read("/config/target/core/iblock_0/disk/control") == "udev_path=/dev/vda\n"
    assert fake_root.link(f"{group}/lun/lun_1/disk") == "/config/target/core/iblock_0/disk"
    assert fake_root.exists(f"{group}/np/0.0.0.0:3261") and fake_root.read(f"{group}/enable") == "0\n"
    assert fake_root.read(f"{group}/attrib/demo_mode_write_protect") == "0\n"


def test_a_failure_is_one(functions, fake_root):
    fake_root.write("/config/target", "no folder")
    assert functions(f"start_iscsi_target {IQN} /dev/vda").exit_code == 1
