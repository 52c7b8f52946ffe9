"""One kernel in /boot."""

import pytest

SCRIPT = "cleanup.d/99-cleanup-kernel-initrd"


def boot(fake_root):
    return sorted(path.removeprefix("/boot/") for path in fake_root.tree("/boot"))


@pytest.mark.parametrize(("root", "names"), [
    ("debian-12", ["vmlinuz-{}", "initrd.img-{}", "config-{}"]),
    ("fedora-41", ["vmlinuz-{}", "initramfs-{}.img", ".vmlinuz-{}.hmac"]),
])
def test_the_newest_stays(fake_root, element, root, names):
    fake_root.like(root)
    for version in ("6.1.0-1", "6.1.0-11"):
        for name in names:
            fake_root.write(f"/boot/{name.format(version)}", "")
    run = element("cleanup-kernel-initrd").run(SCRIPT)
    assert run.ok, run.output
    assert boot(fake_root) == sorted(name.format("6.1.0-11") for name in names)


def test_a_version_that_begins_alike_is_another(fake_root, element):
    fake_root.like("debian-12")
    for version in ("6.1", "6.1.5"):
        fake_root.write(f"/boot/vmlinuz-{version}", "")
        fake_root.write(f"/boot/initrd.img-{version}", "")
    env = {"DIB_BAREMETAL_KERNEL_PATTERN": "vmlinuz-6.1.5", "DIB_BAREMETAL_INITRD_PATTERN": "initrd.img-6.1.5"}
    assert element("cleanup-kernel-initrd").run(SCRIPT, env=env).ok
    assert boot(fake_root) == ["initrd.img-6.1.5", "vmlinuz-6.1.5"]


def test_debug_kernels_are_left_alone(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write("/boot/vmlinuz-6.1+debug", "")
    fake_root.write("/boot/vmlinuz-6.2", "")
    fake_root.write("/boot/initramfs-6.2.img", "")
    assert element("cleanup-kernel-initrd").run(SCRIPT).wrote == ()
    assert "vmlinuz-6.1+debug" in boot(fake_root)


def test_suse_is_left_alone(fake_root, element):
    fake_root.like("opensuse-leap-15.6")
    for name in ("vmlinuz-5-default", "initrd-5-default", "vmlinuz-4-default"):
        fake_root.write(f"/boot/{name}", "")
    fake_root.symlink("/boot/vmlinuz", "vmlinuz-5-default")
    fake_root.symlink("/boot/initrd", "initrd-5-default")
    assert element("cleanup-kernel-initrd").run(SCRIPT).ok
    assert "vmlinuz-4-default" in boot(fake_root)
