"""Which kernel an image boots."""

import pytest


@pytest.mark.parametrize(("root", "files", "told"), [
    ("debian-12", ["vmlinuz-6.1.0-9", "initrd.img-6.1.0-9", "vmlinuz-6.1.0-10", "initrd.img-6.1.0-10"],
     "vmlinuz-6.1.0-10:initrd.img-6.1.0-10"),
    ("fedora-41", ["vmlinuz-6.2", "initramfs-6.2.img", "vmlinuz-6.3+debug"], "vmlinuz-6.2:initramfs-6.2.img"),
])
def test_the_newest_pair_is_printed(fake_root, element, root, files, told):
    fake_root.like(root)
    for name in files:
        fake_root.write(f"/boot/{name}", "")
    under_test = element("select-boot-kernel-initrd")
    assert under_test.run("extra-data.d/99-img-functions").ok
    run = under_test.run_with("bin/select-boot-kernel-initrd", side="target")
    assert run.ok and run.output == f"{told}\n"
    assert under_test.run("cleanup.d/99-img-functions").ok
    assert not fake_root.exists("/lib/diskimage-builder/img-functions")


def test_without_a_kernel_it_says_so(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("select-boot-kernel-initrd")
    assert under_test.run("extra-data.d/99-img-functions").ok
    run = under_test.run_with("bin/select-boot-kernel-initrd", side="target")
    assert run.exit_code == 1 and "No suitable kernel" in run.output
