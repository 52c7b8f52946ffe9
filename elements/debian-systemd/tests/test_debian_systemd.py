"""Debian with systemd."""


def test_systemd_is_the_init_system_whatever_the_caller_says(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("dpkg-query").prints("installed")
    run = element("debian-systemd").run("install.d/10-cloud-opinions", env={"DIB_DEBIAN_ALT_INIT_PACKAGE": "sysvinit"})
    assert run.ok, run.output
    assert run.called("dpkg-query", "systemd-sysv")
    assert fake_root.exists("/etc/apt/preferences.d/no-sysvinit")
