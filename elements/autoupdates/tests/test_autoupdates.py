"""Updates without anybody's doing."""

import pytest

ROOT, POST = "root.d/50-autoupdates", "post-install.d/50-autoupdates"


@pytest.fixture
def build(fake_root, element, tmp_path):
    (tmp_path / "conf").write_text("mine\n")

    def run(root, **env):
        fake_root.like(root)
        under_test = element("autoupdates")
        first = under_test.run(ROOT, env=env)
        return under_test.run(POST, env=env) if first.ok else first

    return run


def test_debian(build, fake_root):
    run = build("debian-12")
    assert run.ok, run.output
    assert "unattended-upgrades" in run.enabled
    assert 'APT::Periodic::Unattended-Upgrade "1";' in fake_root.read("/etc/apt/apt.conf.d/20auto-upgrades")


def test_debian_with_a_configuration(build, fake_root, tmp_path):
    assert build("ubuntu-24.04", DIB_DEB_UPDATES_CONF=str(tmp_path / "conf")).ok
    assert fake_root.read("/etc/apt/apt.conf.d/50unattended-upgrades") == "mine\n"
    assert not fake_root.exists("/etc/dib-autoupdates")


def test_fedora(build, fake_root):
    fake_root.write("/etc/dnf/automatic.conf", "[commands]\napply_updates = no\n")
    assert build("fedora-41").called("systemctl", "enable", "dnf-automatic.timer")
    assert fake_root.read("/etc/dnf/automatic.conf") == "[commands]\napply_updates = yes\n"


def test_fedora_with_a_configuration(build, fake_root, tmp_path):
    assert build("fedora-41", DIB_YUM_UPDATES_CONF=str(tmp_path / "conf")).ok
    assert fake_root.read("/etc/dnf/automatic.conf") == "mine\n"


@pytest.mark.parametrize(("root", "variables", "told"), [
    ("debian-12", ["DIB_YUM_UPDATES_CONF"], "is not for debian"),
    ("fedora-41", ["DIB_DEB_UPDATES_CONF"], "is not for fedora"),
    ("debian-12", ["DIB_YUM_UPDATES_CONF", "DIB_DEB_UPDATES_CONF"], "both set"),
    ("debian-12", [], ""),
])
def test_mistakes(build, root, variables, told):
    run = build(root, **dict.fromkeys(variables, "/no/file"))
    assert run.exit_code == (1 if variables else 0) and told in run.output


def test_a_file_that_is_not_there(build):
    run = build("debian-12", DIB_DEB_UPDATES_CONF="/no/file")
    assert run.exit_code == 1 and "/no/file is not a file" in run.output
