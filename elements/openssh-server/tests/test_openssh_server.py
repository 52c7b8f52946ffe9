"""The ssh server: started, and hardened."""

import pytest

CONFIG = "# stock\nInclude /etc/ssh/sshd_config.d/*.conf\nPort 22\nMatch User x\n  X11Forwarding no\n"


@pytest.mark.parametrize(("root", "service"), [("debian-12", "ssh"), ("fedora-41", "sshd")])
def test_it_is_enabled_under_its_name(fake_root, element, root, service):
    fake_root.like(root)
    assert element("openssh-server").run("post-install.d/80-enable-sshd-service").lines == [
        f"systemctl enable {service}.service"]


def test_hardening_comes_before_everything_else(fake_root, element):
    fake_root.like("debian-12").write("/etc/ssh/sshd_config", CONFIG, mode=0o600)
    under_test = element("openssh-server")
    assert under_test.run("post-install.d/99-harden-sshd-config").ok
    text = fake_root.read("/etc/ssh/sshd_config")
    assert text.endswith("\n\n" + CONFIG)
    for word in ("KexAlgorithms curve25519", "Ciphers chacha20", "MACs hmac-sha2-512-etm"):
        assert f"\n{word}" in text.partition("Include")[0]
    assert fake_root.mode("/etc/ssh/sshd_config") == 0o600
    assert under_test.run("post-install.d/99-harden-sshd-config").wrote == ()


def test_hardening_can_be_refused(fake_root, element):
    fake_root.like("debian-12").write("/etc/ssh/sshd_config", CONFIG)
    run = element("openssh-server").run("post-install.d/99-harden-sshd-config",
                                        env={"DIB_OPENSSH_SERVER_HARDENING": "0"})
    assert run.ok and run.wrote == ()


def test_a_server_without_its_configuration_is_fine(fake_root, element):
    fake_root.like("bare")
    assert element("openssh-server").run("post-install.d/99-harden-sshd-config").ok


@pytest.mark.parametrize(("root", "missing", "line"), [
    ("gentoo", [], "rc-update add sshd default"), ("debian-12-sysvinit", [], "chkconfig ssh on"),
    ("debian-12-sysvinit", ["chkconfig"], "update-rc.d ssh defaults"),
])
def test_it_is_enabled_under_every_init_system(fake_root, element, commands, root, missing, line):
    commands.missing(*missing)
    fake_root.like(root)
    run = element("openssh-server").run("post-install.d/80-enable-sshd-service")
    assert run.ok and run.lines == [line]
    assert run.enabled
