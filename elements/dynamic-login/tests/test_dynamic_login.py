"""Ways to log in from the kernel's command line."""

import base64

import pytest

SCRIPT = "static/usr/local/bin/dynamic-login"
HASH = "$6$salt$abc./XYZ"
KEY = "ssh-ed25519 AAAAC3Nz me@here"


@pytest.fixture
def boot(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("ssh-keygen")
    under_test = element("dynamic-login")
    script = under_test.hooks / SCRIPT
    script.write_text(script.read_text().replace("/proc/cmdline", "/fake/cmdline"))

    def run(line):
        fake_root.write("/fake/cmdline", line + "\n")
        done = under_test.run_with(SCRIPT, side="target")
        assert done.ok, done.output
        return done

    return run


@pytest.mark.parametrize("value", [HASH, base64.b64encode(HASH.encode()).decode(), f'"{HASH}"'])
def test_a_password(boot, value):
    assert boot(f"ro rootpwd={value} quiet").called("usermod", "--password", HASH, "root")


@pytest.mark.parametrize("value", ["secret", "", base64.b64encode(b"secret").decode(), "$6$x;reboot"])
def test_what_is_no_hash_is_refused(boot, value):
    run = boot(f"rootpwd={value} ro")
    assert not run.called("usermod")
    assert "no password's hash" in run.output or not value


def test_a_key_is_added_once(boot, fake_root):
    fake_root.write("/root/.ssh/authorized_keys", "another\n", mode=0o600)
    for _ in range(2):
        boot(f'sshkey="{KEY}" ro')
    assert fake_root.read("/root/.ssh/authorized_keys") == f"another\n{KEY}\n"
    assert fake_root.mode("/root/.ssh") == 0o700


def test_what_is_no_key_is_refused(boot, fake_root, commands):
    commands.on("ssh-keygen").exits(255)
    assert "no public key" in boot('sshkey="what"').output
    assert not fake_root.exists("/root/.ssh/authorized_keys")


def test_an_ordinary_command_line_changes_nothing(boot):
    run = boot("root=LABEL=x myrootpwd=y ro")
    assert run.wrote == () and run.lines == []


@pytest.mark.parametrize(("system", "lines"), [
    ("systemd", ["systemctl enable dynamic-login.service"]), ("upstart", []),
])
def test_it_runs_at_boot(fake_root, element, system, lines):
    fake_root.like("debian-12")
    run = element("dynamic-login").run("install.d/60-dynamic-login", env={"DIB_INIT_SYSTEM": system})
    assert run.ok and run.lines == lines


def test_an_init_system_without_a_script_is_an_error(fake_root, element):
    fake_root.like("gentoo")
    run = element("dynamic-login").run("install.d/60-dynamic-login")
    assert run.exit_code == 1 and "no start script for openrc" in run.output
