"""A disk over the network."""

import pytest

GRUB = 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"\n'


def test_debian_has_its_own_way(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("update-initramfs")
    env = {"DISTRO_NAME": "debian"}
    under_test = element("iscsi-boot")
    run = under_test.run("post-install.d/50-iscsi-boot", env=env)
    assert run.ok and fake_root.read("/etc/iscsi/iscsi.initramfs") == "ISCSI_AUTO=true\n"
    assert run.called("update-initramfs", "-u")
    assert under_test.run("finalise.d/51-iscsi-boot", env=env).lines == []


@pytest.mark.parametrize("elements", ["base dracut-regenerate", "base"])
def test_elsewhere_dracut_makes_the_initramfs(fake_root, element, elements):
    fake_root.like("rocky-9")
    run = element("iscsi-boot").run("post-install.d/50-iscsi-boot",
                                    env={"DISTRO_NAME": "centos", "IMAGE_ELEMENT": elements})
    assert run.ok == ("dracut" in elements) and ("add the element dracut-regenerate" in run.output) == (not run.ok)


def test_the_firmware_is_asked(fake_root, element, commands):
    fake_root.like("rocky-9")
    fake_root.write("/etc/default/grub", GRUB)
    fake_root.symlink("/boot/grub2/grubenv", "../efi/grubenv")
    commands.fake("grub2-mkconfig")
    under_test = element("iscsi-boot")
    for _ in range(2):
        run = under_test.run("finalise.d/51-iscsi-boot", env={"DISTRO_NAME": "centos"})
        assert run.ok and run.called("grub2-mkconfig", "/boot/grub2/grub.cfg")
    assert fake_root.read("/etc/default/grub") == GRUB.replace("ttyS0", "ttyS0 rd.iscsi.firmware=1")
    assert fake_root.link("/boot/grub2/grubenv") is None


@pytest.mark.parametrize(("distro", "before", "after"), [
    ("debian", "", ""), ("centos", "- name: iscsi", "- name: iscsi"),
    ("centos", "- name: lvm", "- name: lvm\n- name: network\n- name: iscsi\n"),
])
def test_modules_of_dracut(fake_root, element, distro, before, after):
    fake_root.like("rocky-9")
    under_test = element("iscsi-boot")
    script = under_test.hooks / "install.d/50-tell"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/bash\nprintf %s "${DIB_DRACUT_ENABLED_MODULES:-}" >/told\n')
    script.chmod(0o755)
    env = {"DISTRO_NAME": distro, **({"DIB_DRACUT_ENABLED_MODULES": before} if before else {})}
    assert under_test.run("install.d/50-tell", env=env).ok
    assert fake_root.read("/told") == after
