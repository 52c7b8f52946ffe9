"""Network cards of the iBFT."""

import pytest

TOOL = "static/usr/local/sbin/init-ibft-interfaces.sh"


@pytest.mark.parametrize(("system", "call"), [
    ("systemd", ("systemctl", "enable", "init-ibft-interfaces.service")),
    ("sysv", ("update-rc.d", "init-ibft-interfaces", "defaults")), ("upstart", None),
])
def test_its_service_is_enabled(fake_root, element, commands, system, call):
    fake_root.like("debian-12")
    commands.fake("systemctl", "update-rc.d")
    run = element("ibft-interfaces").run("post-install.d/70-init-ibft-interfaces", env={"DIB_INIT_SYSTEM": system})
    assert run.ok and (run.called(*call) if call else run.lines == [])


def test_another_init_system_is_refused(fake_root, element):
    fake_root.like("debian-12")
    run = element("ibft-interfaces").run("post-install.d/70-init-ibft-interfaces", env={"DIB_INIT_SYSTEM": "openrc"})
    assert run.exit_code == 1 and "openrc is not supported" in run.output


@pytest.mark.parametrize(("option", "code", "told"), [
    ("", 0, ""), ("-f", 0, "the firmware has no iBFT"), ("-N", 1, "could not be set up"),
])
def test_at_boot(fake_root, element, commands, option, code, told):
    fake_root.like("debian-12")
    commands.fake("iscsistart", "udevadm")
    if option:
        commands.on("iscsistart", option).exits(1)
    run = element("ibft-interfaces").run_with(TOOL, side="target")
    assert run.exit_code == code and told in run.output
    assert run.called("udevadm", "settle") == (not option)


def test_without_open_iscsi(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.missing("iscsistart")
    assert "iscsistart is not installed" in element("ibft-interfaces").run_with(TOOL, side="target").output


@pytest.mark.parametrize(("word", "code"), [("start", 0), ("stop", 0), ("what", 1)])
def test_the_script_of_sysv(fake_root, element, word, code):
    fake_root.like("debian-12")
    fake_root.write("/usr/local/sbin/init-ibft-interfaces.sh", "#!/bin/sh\necho ran\n", mode=0o755)
    run = element("ibft-interfaces").run_with("init-scripts/sysv/init-ibft-interfaces", word, side="target")
    assert run.exit_code == code and ("ran" in run.output) == (word == "start")
