"""cloud-init, started at boot."""

import pytest

CONFIG = "users:\n- default\nssh_pwauth: false\nssh_genkeytypes: [rsa]\n"


@pytest.mark.parametrize(("unit", "names"), [
    ("cloud-init.service", ["cloud-init-local", "cloud-init", "cloud-config", "cloud-final"]),
    ("cloud-init-main.service",
     ["cloud-init-local", "cloud-init-main", "cloud-init-network", "cloud-config", "cloud-final"]),
])
def test_its_units_are_enabled_in_old_and_new_versions(fake_root, element, unit, names):
    fake_root.like("debian-12").write(f"/usr/lib/systemd/system/{unit}", "")
    run = element("cloud-init").run("post-install.d/20-enable-cloud-init")
    assert run.ok, run.output
    assert run.lines == [f"systemctl enable {name}.service" for name in names]


def test_openrc_gets_its_services(fake_root, element, commands):
    commands.fake("rc-update")
    fake_root.like("bare")
    run = element("cloud-init").run("post-install.d/20-enable-cloud-init", env={"DIB_INIT_SYSTEM": "openrc"})
    assert run.lines[0] == "rc-update add cloud-init-local default"
    assert len(run.lines) == 4


@pytest.mark.parametrize("before", [CONFIG, CONFIG.replace("ssh_pwauth: false\n", "")])
def test_passwords_over_ssh_are_allowed_on_request(fake_root, element, before):
    fake_root.like("debian-12").write("/etc/cloud/cloud.cfg", before)
    run = element("cloud-init").run("post-install.d/21-cloud-init-allow-password-auth",
                                    env={"DIB_CLOUD_INIT_ALLOW_SSH_PWAUTH": "1"})
    assert run.ok, run.output
    text = fake_root.read("/etc/cloud/cloud.cfg")
    assert text.count("ssh_pwauth:") == 1
    assert "ssh_pwauth: true\n" in text


def test_passwords_over_ssh_stay_as_they_are_otherwise(fake_root, element):
    fake_root.like("debian-12").write("/etc/cloud/cloud.cfg", CONFIG)
    assert element("cloud-init").run("post-install.d/21-cloud-init-allow-password-auth").wrote == ()


@pytest.mark.parametrize("before", [CONFIG, "users: []\n"])
def test_host_keys_have_modern_types(fake_root, element, before):
    fake_root.like("debian-12").write("/etc/cloud/cloud.cfg", before)
    assert element("cloud-init").run("post-install.d/22-cloud-init-ssh_genkeytypes").ok
    assert fake_root.read("/etc/cloud/cloud.cfg").endswith("ssh_genkeytypes: ['rsa', 'ecdsa', 'ed25519']\n")
    assert fake_root.read("/etc/cloud/cloud.cfg").count("ssh_genkeytypes") == 1


@pytest.mark.parametrize("script", ["21-cloud-init-allow-password-auth", "22-cloud-init-ssh_genkeytypes"])
def test_without_its_configuration_there_is_nothing_to_do(fake_root, element, script):
    fake_root.like("debian-12")
    run = element("cloud-init").run(f"post-install.d/{script}", env={"DIB_CLOUD_INIT_ALLOW_SSH_PWAUTH": "1"})
    assert run.ok and run.wrote == ()
