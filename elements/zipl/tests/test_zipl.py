"""The boot loader of IBM Z, recorded."""

import pytest


def test_links_are_in_boot(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/etc/kernel-img.conf", "do_symlinks = yes\nlink_in_boot = no\n")
    under_test = element("zipl")
    for _ in range(2):
        assert under_test.run("pre-install.d/60-zipl-links-in-boot").ok
    assert fake_root.read("/etc/kernel-img.conf") == "do_symlinks = yes\nlink_in_boot = yes\n"


@pytest.mark.proves("zipl", how="stand-in")
def test_it_is_written_to_the_disk_of_boot(fake_root, element, commands):
    fake_root.like("debian-12")
    fake_root.mkdir("/lib/s390-tools")
    commands.on("df", "/boot").prints("Filesystem\n/dev/loop0p1")
    commands.on("zipl", "-V").does("cat /lib/s390-tools/zipl_helper.loop >/tmp/helper")
    run = element("zipl").run("finalise.d/50-zipl", env={"DIB_ROOT_LABEL": "cloudimg-rootfs"})
    assert run.ok, run.output
    assert 'echo "targetbase=/dev/loop0p1"\n' in fake_root.read("/tmp/helper")
    assert not fake_root.exists("/lib/s390-tools/zipl_helper.loop")
    words = "root=LABEL=cloudimg-rootfs LANG=en_US.UTF-8 console=ttyS0 console=ttyS1"
    assert f'parameters = "{words}"\n' in fake_root.read("/etc/zipl.conf")


def test_without_a_device_it_says_what_to_do(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("df", "/boot").prints("Filesystem\noverlay")
    run = element("zipl").run("finalise.d/50-zipl", env={"DIB_ROOT_LABEL": "x"})
    assert run.exit_code == 1 and "--assemble device" in run.output
