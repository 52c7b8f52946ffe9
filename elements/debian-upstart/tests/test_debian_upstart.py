"""Debian with upstart, as long as there was one."""

import pytest


@pytest.mark.parametrize("release", ["wheezy", "jessie"])
def test_cloud_init_is_started_by_upstart(fake_root, element, release):
    fake_root.like("debian-12")
    fake_root.write("/etc/rc2.d/S20cloud-init", "")
    fake_root.write("/etc/init.d/cloud-init", "")
    fake_root.write("/etc/init.d/ssh", "")
    fake_root.write("/etc/init/cloud-config.conf", "start on (never)\ntask\n")
    under_test = element("debian-upstart")
    assert under_test.run("root.d/05-debian-upstart", env={"DIB_RELEASE": release}).ok
    run = under_test.run("post-install.d/20-cloud-init-by-upstart", env={"DIB_RELEASE": release})
    assert run.ok, run.output
    assert fake_root.read("/etc/init/cloud-config.conf") == "start on (filesystem and started rsyslog)\ntask\n"
    assert fake_root.exists("/etc/init.d/ssh")
    assert not fake_root.exists("/etc/rc2.d/S20cloud-init") and not fake_root.exists("/etc/init.d/cloud-init")


def test_the_package_is_upstart(fake_root, element, commands):
    fake_root.like("debian-12")
    run = element("debian-upstart").run("install.d/10-cloud-opinions", env={"DIB_RELEASE": "jessie"})
    assert run.ok and run.called("install-packages", "upstart")


def test_later_releases_are_refused(fake_root, element):
    run = element("debian-upstart").run("root.d/05-debian-upstart", env={"DIB_RELEASE": "bookworm"})
    assert run.exit_code == 1 and "use the element debian-systemd" in run.output
