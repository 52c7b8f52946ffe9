"""An iSCSI target by the kernel; its configfs is a folder of the fake root."""

import pytest

IQN = "iqn.2026-01.org.example:d"


@pytest.fixture
def functions(iscsi_functions, commands):
    commands.fake("modprobe", "mount", "sync")
    return iscsi_functions("deploy-targetcli", "TARGET_CONFIG=/config")


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
