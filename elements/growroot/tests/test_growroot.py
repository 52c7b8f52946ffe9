"""The root file system, as large as the disk."""

import pytest

SCRIPT = "static/usr/local/sbin/growroot"


@pytest.fixture
def machine(fake_root, element, commands):
    """Run the script on a machine whose root is `device` with file system `kind`."""
    fake_root.like("debian-12")
    commands.fake("growpart", "findmnt", "xfs_growfs", "btrfs")

    def boot(device="/dev/vda1", kind="ext4", growpart=0):
        commands.on("findmnt").prints(f"{device} {kind}")
        commands.on("growpart").exits(growpart)
        # /sys is empty in a fake root; the script's own words with the places exchanged
        under_test = element("growroot")
        script = under_test.hooks / SCRIPT
        text = script.read_text().replace("/sys/class/block", "/fake/block").replace('[ ! -b "$device" ]', "false")
        script.write_text(text)
        fake_root.write("/fake/devices/vda/vda1/partition", "1\n")
        fake_root.symlink("/fake/block/vda1", "../devices/vda/vda1")
        run = under_test.run_with(SCRIPT, side="target")
        return run, [line for line in run.lines if not line.startswith("findmnt")]

    return boot


@pytest.mark.parametrize(("kind", "last"), [
    ("ext4", "resize2fs /dev/vda1"), ("xfs", "xfs_growfs /"), ("btrfs", "btrfs filesystem resize max /"),
])
def test_partition_first_then_the_file_system(machine, kind, last):
    run, lines = machine(kind=kind)
    assert run.ok, run.output
    assert lines == ["growpart /dev/vda 1", last]


def test_a_subvolume_of_btrfs_is_no_device(machine):
    assert machine(device="/dev/vda1[/root]", kind="btrfs")[1][0] == "growpart /dev/vda 1"


def test_nothing_to_gain_is_no_failure(machine):
    run, lines = machine(growpart=1)
    assert run.ok and lines[-1] == "resize2fs /dev/vda1"


def test_a_failing_growpart_is(machine):
    run, lines = machine(growpart=2)
    assert run.exit_code == 2 and len(lines) == 1


def test_a_disk_without_partitions(machine):
    run, lines = machine(device="/dev/vdb")
    assert run.ok and lines == ["resize2fs /dev/vdb"]


def test_lvm_is_left_alone(machine):
    run, lines = machine(device="/dev/dm-0")
    assert run.ok and lines == []


def test_it_runs_at_boot(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("growroot")
    assert under_test.run("install.d/20-install-init-scripts").ok
    assert under_test.run("post-install.d/80-growroot").lines == ["systemctl enable growroot.service"]
    assert "ExecStart=/usr/local/sbin/growroot\n" in fake_root.read("/usr/lib/systemd/system/growroot.service")


def test_an_init_system_without_a_script_is_an_error(fake_root, element):
    fake_root.like("debian-12")
    run = element("growroot").run("post-install.d/80-growroot", env={"DIB_INIT_SYSTEM": "sysv"})
    assert run.exit_code == 1
    assert "no start script for sysv" in run.output
