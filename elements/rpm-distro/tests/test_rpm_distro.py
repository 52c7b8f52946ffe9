"""What distributions with RPM packages have in common."""

import pytest


def test_sudo_without_a_terminal(fake_root, element, commands):
    fake_root.like("fedora-41")
    fake_root.write("/etc/sudoers", "Defaults    requiretty\nDefaults secure_path = /sbin:/bin\nroot ALL=(ALL) ALL\n",
                    mode=0o440)
    commands.fake("visudo")
    under_test = element("rpm-distro")
    for _ in range(2):
        run = under_test.run("pre-install.d/00-usr-local-bin-secure-path")
        assert run.ok and run.called("visudo", "--check")
    assert fake_root.read("/etc/sudoers") == "Defaults secure_path = /sbin:/bin:/usr/local/bin\nroot ALL=(ALL) ALL\n"
    assert fake_root.mode("/etc/sudoers") == 0o440


def test_a_broken_result_is_not_written(fake_root, element, commands):
    fake_root.like("fedora-41")
    before = fake_root.read("/etc/sudoers")
    commands.on("visudo").exits(1)
    assert not element("rpm-distro").run("pre-install.d/00-usr-local-bin-secure-path").ok
    assert fake_root.read("/etc/sudoers") == before


def test_without_sudo_nothing_happens(fake_root, element):
    fake_root.like("bare")
    assert element("rpm-distro").run("pre-install.d/00-usr-local-bin-secure-path").wrote == ()


@pytest.mark.parametrize(("arch", "cpu", "base"), [
    ("amd64", "x86_64", "x86_64"), ("arm64", "aarch64", "aarch64"), ("i386", "i686", "i386"),
    ("ppc64el", "ppc64le", "ppc64le"), ("s390x", "s390x", "s390x")])
def test_the_architecture(fake_root, element, arch, cpu, base):
    fake_root.like("fedora-41")
    assert element("rpm-distro").run("pre-install.d/01-override-yum-arch", env={"ARCH": arch}).ok
    assert (fake_root.read("/etc/dnf/vars/arch"), fake_root.read("/etc/dnf/vars/basearch")) == (f"{cpu}\n", f"{base}\n")


def test_no_link_local_addresses(fake_root, element):
    fake_root.like("fedora-41")
    under_test = element("rpm-distro")
    for _ in range(2):
        assert under_test.run("post-install.d/06-network-nozeroconf").ok
    assert fake_root.read("/etc/sysconfig/network") == "NOZEROCONF=yes\n"
