"""Login prompts on serial ports."""

import pytest

SCRIPT = "install.d/20-stty"


def test_systemd_starts_one_on_each_real_port(fake_root, element):
    fake_root.like("debian-12")
    assert element("enable-serial-console").run(SCRIPT).wrote == ("/etc/udev/rules.d/99-serial-console.rules",)
    rule = fake_root.read("/etc/udev/rules.d/99-serial-console.rules")
    assert 'ENV{SYSTEMD_WANTS}+="serial-getty@$name.service"' in rule
    assert 'ATTR{type}=="4"' in rule


def test_upstart_gets_a_job(fake_root, element):
    fake_root.like("bare")
    run = element("enable-serial-console").run(SCRIPT, env={"DIB_INIT_SYSTEM": "upstart"})
    assert run.wrote == ("/etc/init/ttySx.conf",)


@pytest.mark.parametrize(("env", "line"), [
    ({}, "S0:12345:respawn:/sbin/agetty -L 115200 ttyS0 vt100"),
    ({"ARCH": "arm64"}, "AMA0:12345:respawn:/sbin/agetty -L 115200 ttyAMA0 vt100"),
    ({"DIB_BOOTLOADER_SERIAL_CONSOLE": "ttyS1,9600n8"}, "S1:12345:respawn:/sbin/agetty -L 9600 ttyS1 vt100"),
])
def test_inittab_gets_a_line_once(fake_root, element, env, line):
    fake_root.like("bare").write("/etc/inittab", "# lines\n")
    under_test = element("enable-serial-console")
    for _ in range(2):
        assert under_test.run(SCRIPT, env={"DIB_INIT_SYSTEM": "openrc", **env}).ok
    assert fake_root.read("/etc/inittab") == f"# lines\n{line}\n"
