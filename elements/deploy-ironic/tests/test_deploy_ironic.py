"""The disk is offered to Ironic."""

import pytest


@pytest.fixture
def piece(piece_of_init):
    return piece_of_init("deploy-ironic", "70-ironic-root-device", "80-deploy-ironic")


LINE = ("deployment_id=7 deployment_key=k iscsi_target_iqn=iqn.x:d disk=vda boot_server=10.0.2.2:1 "
        "ironic_api_url=http://10.0.2.2:6385/")
KNOWN = """start_iscsi_target() { echo "start $*"; [ -z "$BROKEN" ]; }
stop_iscsi_target() { echo "stop $*"; }
. "$here/init.d/20-init-variables"
"""
DISKS = {"/dev/sda": ("10737418240", "First Disk", "ATA", "one"), "/dev/vda": ("2147483648", "", "0x1af4", "two")}


@pytest.fixture
def machine(commands, fake_root):
    commands.fake("curl", "nc", "sleep", "mount", "umount", "partprobe", "udevadm", "chroot")
    commands.on("tftp").exits(1)
    commands.on("ip").prints("2: eth0    inet 10.0.2.15/24 scope global eth0")
    commands.on("lsblk", "NAME,TYPE").prints("/dev/sda disk\n/dev/vda disk\n/dev/sr0 rom")
    commands.on("lsblk", "-l").prints("/dev/vda disk\n/dev/vda1 part\n/dev/vda2 part")
    commands.on("lsblk", "NAME,PARTLABEL").prints("/dev/vda1 efi-part\n/dev/vda2")
    for name, values in DISKS.items():
        for column, value in zip(("SIZE", "MODEL", "VENDOR", "SERIAL"), values, strict=True):
            commands.on("lsblk", column, name).prints(f" {value}  ")
    commands.on("udevadm", "--name=/dev/vda").prints("ID_WWN_WITH_EXTENSION=0x5000\nID_WWN_VENDOR_EXTENSION=0x1")
    fake_root.write("/fake/dev/vda", "")
    fake_root.write("/fake/net/eth0/address", "52:54:00:aa:bb:cc\n")


def test_ironic_is_told(piece, machine):
    run = piece(LINE, KNOWN)
    assert run.ok, run.output
    assert run.called("curl", "http://10.0.2.2:6385/v1/nodes/7/vendor_passthru/pass_deploy_info")
    assert run.called("nc", "-l", "10000")
    assert "start iqn.x:d /fake/dev/vda" in run.output and "stop iqn.x:d" in run.output


@pytest.mark.parametrize("place", ["tftp", "media"])
def test_with_the_token_that_it_left(piece, machine, commands, fake_root, place):
    if place == "tftp":
        commands.on("tftp", "token-7", "10.0.2.2").does("echo a-token >/tmp/token-7")
    else:
        fake_root.write("/tmp/vmedia-token", "a-token\n")
    assert piece(LINE, KNOWN).called("curl", "X-Auth-Token: a-token")


@pytest.mark.parametrize(("line", "before", "error"), [
    (LINE.replace("ironic_api_url", "other"), "", "ironic_api_url and deployment_id are needed"),
    (LINE.replace("disk=vda", "disk=sdz"), "DISK_TRIES=1", "there is no disk as it is asked for"),
    (LINE, "BROKEN=yes", "/fake/dev/vda could not be offered over iSCSI"),
])
def test_a_failure_is_told(piece, machine, line, before, error):
    run = piece(line, KNOWN + before)
    assert error in run.output and not run.called("nc") and run.called("curl") == ("other" not in line)


def test_an_ironic_that_takes_nothing(piece, machine, commands):
    commands.on("curl").exits(22)
    run = piece(LINE, KNOWN)
    assert "Ironic at http://10.0.2.2:6385 takes no pass_deploy_info" in run.output and not run.called("nc")


@pytest.mark.parametrize(("hints", "device"), [
    ("size=2", "/dev/vda"), ("size=10,vendor=ata", "/dev/sda"), ("model=First%20Disk", "/dev/sda"),
    ("serial=two,size=2", "/dev/vda"), ("wwn_with_extension=0x5000", "/dev/vda"),
    ("wwn_vendor_extension=0x1", "/dev/vda"), ("size=3", ""), ("serial=two,size=10", ""), ("colour=red", ""),
])
def test_hints_choose_the_disk(piece, machine, hints, device):
    run = piece(f"{LINE} root_device={hints}", KNOWN + "DISK_TRIES=1")
    assert (f"start iqn.x:d {device}\n" if device else "there is no disk as it is asked for") in run.output


@pytest.mark.parametrize(("mode", "grub", "fails"), [
    ("bios", "grub", False), ("uefi", "grub2", False), ("bios", "grub", True),
])
def test_what_has_been_written_starts_by_itself(piece, machine, commands, fake_root, mode, grub, fails):
    if grub == "grub2":
        fake_root.write("/mnt/rootfs/usr/sbin/grub2-install", "", mode=0o755)
    if fails:
        commands.on("chroot").exits(1)
    run = piece(f"{LINE} boot_option=local boot_mode={mode}", KNOWN)
    assert run.called("mount", "/dev/vda2", "/mnt/rootfs") and run.called("chroot", "/mnt/rootfs", "/bin/sh")
    assert run.called("mount", "/dev/vda1") == (mode == "uefi")
    told = next(line for line in run.lines if "pass_bootloader_install_info" in line)
    assert ("FAILED" if fails else "SUCCEEDED") in told


@pytest.mark.parametrize("fails", ["/dev/vda2", "/dev/vda1"])
def test_a_disk_that_cannot_be_mounted(piece, machine, commands, fails):
    commands.on("mount", fails).exits(1)
    run = piece(f"{LINE} boot_option=local boot_mode=uefi", KNOWN)
    assert "no boot loader could be put on /fake/dev/vda" in run.output
