"""A root file system on LVM."""


def test_what_the_build_host_knows_is_not_taken_along(fake_root, element):
    fake_root.like("ubuntu-24.04")
    fake_root.write("/etc/lvm/devices/system.devices", "x")
    fake_root.write("/etc/lvm/lvm.conf", "devices {}\n")
    assert element("lvm").run("root.d/80-lvm").ok
    assert not fake_root.exists("/etc/lvm/devices/system.devices") and fake_root.exists("/etc/lvm/lvm.conf")


def test_the_initramfs_activates_volumes(fake_root, element):
    fake_root.like("ubuntu-24.04")
    under_test = element("lvm")
    run = under_test.run("finalise.d/30-initramfs-with-lvm")
    assert run.exit_code == 1 and "would not find its root" in run.output
    fake_root.write("/usr/share/initramfs-tools/hooks/lvm2", "")
    assert under_test.run("finalise.d/30-initramfs-with-lvm").ok
    assert fake_root.read("/etc/initramfs-tools/conf.d/dib-lvm") == "MODULES=most\n"
