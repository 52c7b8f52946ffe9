"""fail2ban and its jails."""

SCRIPT = "extra-data.d/50-fail2ban"
JAIL = "/etc/fail2ban/jail.local"


def test_the_ssh_server_is_watched(fake_root, element):
    fake_root.like("debian-12")
    assert element("fail2ban").run(SCRIPT).ok
    assert fake_root.read(JAIL) == "[sshd]\nenabled = true\nbackend = systemd\n"
    assert fake_root.mode(JAIL) == 0o644


def test_a_configuration_of_ones_own(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    (tmp_path / "jail").write_text("[mine]\n")
    assert element("fail2ban").run(SCRIPT, env={"DIB_FAIL2BAN_CONF": str(tmp_path / "jail")}).ok
    assert fake_root.read(JAIL) == "[mine]\n"


def test_one_that_is_not_there(fake_root, element):
    fake_root.like("debian-12")
    run = element("fail2ban").run(SCRIPT, env={"DIB_FAIL2BAN_CONF": "/no/jail"})
    assert run.exit_code == 1 and "/no/jail, which is not a file" in run.output


def test_it_is_started_at_boot(fake_root, element):
    fake_root.like("debian-12")
    assert element("fail2ban").run("post-install.d/50-fail2ban").enabled == {"fail2ban"}
