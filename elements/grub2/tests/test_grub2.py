"""GRUB's packages."""

import pytest


@pytest.mark.parametrize(("root", "name", "packages"), [
    ("debian-12", "grub-efi-amd64", ["grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed"]),
    ("fedora-41", "grub-bios", ["grub2-pc", "grub2-tools"]),
])
def test_names_of_packages(fake_root, element, commands, root, name, packages):
    commands.real("pkg-map")
    fake_root.like(root)
    under_test = element("grub2")
    assert under_test.run("extra-data.d/10-create-pkg-map-dir").ok
    assert under_test.run_with("bin/pkg-map", "--element", "grub2", name, side="target").output.split() == packages


def test_what_another_machine_has_saved_is_gone(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write("/boot/grub2/grubenv", "saved_entry=1\n")
    assert element("grub2").run("post-install.d/88-no-grubenv").ok
    assert not fake_root.exists("/boot/grub2/grubenv")
