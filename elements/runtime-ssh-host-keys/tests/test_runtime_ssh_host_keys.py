"""No host key in the image; each machine makes its own."""

import pytest


def test_keys_of_the_build_do_not_stay(fake_root, element):
    fake_root.like("debian-12")
    for name in ("ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_ed25519_key", "sshd_config", "moduli"):
        fake_root.write(f"/etc/ssh/{name}", "x")
    assert element("runtime-ssh-host-keys").run("cleanup.d/90-remove-ssh-host-keys").ok
    assert fake_root.tree("/etc/ssh") == ["/etc/ssh/moduli", "/etc/ssh/sshd_config"]


def test_an_image_without_ssh_is_fine(fake_root, element):
    fake_root.like("bare")
    assert element("runtime-ssh-host-keys").run("cleanup.d/90-remove-ssh-host-keys").ok


@pytest.fixture
def installed(fake_root, element):
    def make(root):
        fake_root.like(root)
        under_test = element("runtime-ssh-host-keys")
        for script in ("install.d/10-install-static-files", "install.d/20-install-init-scripts"):
            assert under_test.run(script).ok
        return under_test

    return make


def test_debian_makes_keys_at_boot(installed, fake_root):
    assert installed("debian-12").run("post-install.d/80-ssh-keygen").lines == ["systemctl enable ssh-keygen.service"]
    unit = fake_root.read("/usr/lib/systemd/system/ssh-keygen.service")
    assert "Before=ssh.service sshd.service\n" in unit
    assert "ExecStart=/usr/local/sbin/runtime-ssh-host-keys.sh\n" in unit
    assert fake_root.mode("/usr/local/sbin/runtime-ssh-host-keys.sh") == 0o755


def test_fedora_has_a_service_of_its_own(installed, fake_root):
    run = installed("fedora-41").run("post-install.d/80-ssh-keygen")
    assert run.ok and run.calls == ()
    assert not fake_root.exists("/usr/lib/systemd/system/ssh-keygen.service")


def test_keys_are_really_made(installed, fake_root, commands):
    under_test = installed("debian-12")
    commands.real("ssh-keygen")
    fake_root.mkdir("/etc/ssh")
    run = under_test.run_with("static/usr/local/sbin/runtime-ssh-host-keys.sh", side="target")
    assert run.ok, run.output
    assert {"/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key"} <= set(run.wrote)
