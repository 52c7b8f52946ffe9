"""What makes a Debian image one for clouds."""

from __future__ import annotations

import pytest


@pytest.fixture
def debian(fake_root, commands, element):
    fake_root.like("debian-12")
    commands.on("dpkg-query", "systemd-sysv").prints("installed")
    return element("debian")


def test_cloud_init_makes_the_user_itself(debian, fake_root):
    run = debian.run("install.d/10-cloud-opinions")
    assert run.ok, run.output
    assert not run.called("useradd")
    assert not run.called("install-packages")
    assert "Pin-Priority: -1" in fake_root.read("/etc/apt/preferences.d/no-sysvinit")


@pytest.mark.parametrize("env", [{"DIB_DEBIAN_CLOUD_INIT_HELPER": "true"}, {"DIB_RELEASE": "wheezy"}])
def test_a_helper_user_may_become_root_but_has_no_password(debian, fake_root, env):
    run = debian.run("install.d/10-cloud-opinions", env=env)
    assert run.ok, run.output
    assert run.called("useradd", "--create-home", "debian")
    assert run.called("passwd", "--lock", "debian")
    assert fake_root.read("/etc/sudoers.d/debian-cloud-init") == "debian ALL=(ALL) NOPASSWD:ALL\n"
    assert fake_root.mode("/etc/sudoers.d/debian-cloud-init") == 0o440


def test_another_init_system(debian, fake_root):
    run = debian.run("install.d/10-cloud-opinions", env={"DIB_DEBIAN_ALT_INIT_PACKAGE": "sysvinit-core"})
    assert run.ok, run.output
    assert run.called("install-packages", "sysvinit-core")
    assert not fake_root.exists("/etc/apt/preferences.d/no-sysvinit")
