"""SELinux labels."""

import pytest

SCRIPT = "cleanup.d/99-selinux-fixfiles-restore"
CONTEXTS = "/etc/selinux/targeted/contexts/files/file_contexts"


@pytest.mark.parametrize(("mount_points", "places"), [
    ("/", ["/"]), ("/|/boot/efi|/var|swap", ["/", "/boot/efi", "/var"]),
])
def test_each_mount_point_is_labelled(fake_root, element, commands, mount_points, places):
    fake_root.like("fedora-41")
    fake_root.write(CONTEXTS, "/.* x\n")
    fake_root.write("/usr/sbin/setfiles", "#!/bin/sh\n", mode=0o755)
    commands.fake("chroot")
    run = element("selinux-fixfiles-restore").run(SCRIPT, env={"DIB_MOUNTPOINTS": mount_points})
    assert run.ok, run.output
    assert [(call.name, call.args[1], call.args[-1]) for call in run.calls] == [
        ("chroot", "/usr/sbin/setfiles", place) for place in places]


def test_without_the_program_the_first_boot_does_it(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write(CONTEXTS, "")
    fake_root.remove("/etc/selinux/config")
    assert element("selinux-fixfiles-restore").run(SCRIPT).ok
    assert fake_root.exists("/.autorelabel")


def test_without_a_policy_nothing_happens(fake_root, element):
    fake_root.like("debian-12")
    run = element("selinux-fixfiles-restore").run(SCRIPT)
    assert run.ok and run.wrote == () and "nothing to do" in run.output
