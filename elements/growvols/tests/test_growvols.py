"""Free space for volumes of LVM."""

import pytest

SCRIPT = "static/usr/local/sbin/growvols"


@pytest.fixture
def machine(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("sgdisk", "findmnt", "lsblk", "lvextend", "vgextend")
    commands.on("findmnt", "--target").does('echo "/dev/mapper/vg-lv_$(basename "${@: -1}" | sed s,/,root,)"')
    commands.on("findmnt", "FSTYPE").prints("xfs")
    commands.on("findmnt", "TARGET").prints("/mnt")
    commands.on("lvs").prints("  vg")
    commands.on("pvs").prints("  /dev/vda3")
    commands.on("lsblk").prints("vda")
    commands.on("vgs").prints("  1000")
    commands.on("blockdev").prints("512")
    commands.on("sgdisk", "--first-aligned-in-largest").prints("2048\n4196351")
    commands.on("sgdisk", "--print").prints("Number  Start (sector)  End\n   4  2048  4196351")

    def run(*words):
        return element("growvols").run_with(SCRIPT, *words, side="target")

    return run


def changes(run):
    names = ("pvcreate", "vgextend", "lvextend", "xfs_growfs", "resize2fs")
    return [line for line in run.lines if line.startswith(names)]


def test_all_of_it_goes_to_the_root_file_system(machine):
    run = machine()
    assert run.ok, run.output
    assert run.called("sgdisk", "--new=0:2048:4196351", "/dev/vda")
    assert changes(run) == ["pvcreate --yes /dev/vda4", "vgextend vg /dev/vda4",
                            "lvextend --extents=+1000 /dev/mapper/vg-lv_root", "xfs_growfs /mnt"]


def test_sizes_come_before_shares(machine, commands):
    commands.on("findmnt", "FSTYPE").prints("ext4")
    run = machine("/var=20%", "home=2GiB", "--group", "vg", "--device", "/dev/nvme0n1")
    assert run.ok, run.output
    assert changes(run) == ["pvcreate --yes /dev/nvme0n1p4", "vgextend vg /dev/nvme0n1p4",
                            "lvextend --size=+2147483648b /dev/vg/home", "resize2fs /dev/vg/home",
                            "lvextend --extents=+200 /dev/mapper/vg-lv_var", "resize2fs /dev/mapper/vg-lv_var"]


@pytest.mark.parametrize(("amount", "size"), [("3MiB", 3 << 20), ("3GB", 3 * 10**9), ("3MB", 3 * 10**6)])
def test_units(machine, amount, size):
    assert machine(f"x={amount}").called("lvextend", f"--size=+{size}b", "/dev/vg/x")


def test_a_full_disk_stays_as_it_is(machine, commands):
    commands.on("sgdisk", "--first-aligned-in-largest").prints("2048\n4096")
    run = machine()
    assert run.ok and changes(run) == [] and "nothing to do" in run.output


def test_other_file_systems_are_told(machine, commands):
    commands.on("findmnt", "FSTYPE").prints("btrfs")
    assert "stays as it is" in machine().output


@pytest.mark.parametrize(("words", "told"), [(["/=much"], "is no VOLUME=AMOUNT"), ([], "not on LVM"),
                                              (["--group", "other"], "no volume group other")])
def test_mistakes(machine, commands, words, told):
    commands.on("lvs").exits(5)
    commands.on("pvs").prints("")
    run = machine(*words)
    assert run.exit_code == 1 and told in run.output


@pytest.mark.parametrize(("env", "lines", "settings"), [
    ({}, [], 'GROWVOLS_ARGS=""\n'),
    ({"DIB_GROWVOLS_TRIGGER": "systemd", "DIB_GROWVOLS_ARGS": "/=80% /var=20%", "DIB_GROWVOLS_GROUP": "g",
      "DIB_GROWVOLS_DEVICE": "/dev/sdb"}, ["systemctl enable growvols.service"],
     'GROWVOLS_ARGS="--group g --device /dev/sdb /=80% /var=20%"\n'),
])
def test_settings(fake_root, element, env, lines, settings):
    fake_root.like("debian-12")
    run = element("growvols").run("post-install.d/80-growvols", env=env)
    assert run.ok and run.lines == lines
    assert fake_root.read("/etc/default/growvols") == settings


@pytest.mark.parametrize("env", [{"DIB_GROWVOLS_TRIGGER": "cron"}, {"DIB_GROWVOLS_ARGS": '"; reboot'}])
def test_wrong_settings(fake_root, element, env):
    fake_root.like("debian-12")
    assert element("growvols").run("post-install.d/80-growvols", env=env).exit_code == 1
