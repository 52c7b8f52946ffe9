"""A user for development."""

import pytest

ADD = 'u=${*: -1}; echo "$u:x:0:0::/home/$u:/bin/sh" >>/etc/passwd; mkdir -p "/home/$u"'


@pytest.fixture
def build(fake_root, element, commands):
    """Run both scripts with these variables."""
    fake_root.like("debian-12")
    commands.on("useradd").does(ADD)
    commands.fake("visudo", "chown")
    under_test = element("devuser")

    def run(**env):
        staged = under_test.run("extra-data.d/50-devuser", env=env)
        assert staged.ok, staged.output
        done = under_test.run("install.d/50-devuser", env=env)
        assert done.ok, done.output
        return done

    run.under_test = under_test
    return run


def test_a_plain_user_by_default(build):
    assert build().lines == ["useradd --create-home devuser"]


def test_shell_groups_and_password(build):
    run = build(DIB_DEV_USER_USERNAME="me", DIB_DEV_USER_SHELL="/bin/bash", DIB_DEV_USER_GROUPS="adm,sudo",
                DIB_DEV_USER_PASSWORD="a:b c")
    assert run.lines == ["useradd --create-home --shell /bin/bash me", "usermod --append --groups adm,sudo me",
                         "chpasswd"]
    assert run.calls[-1].stdin == "me:a:b c\n"


def test_the_password_is_not_in_the_log(build):
    assert "secret" not in build(DIB_DEV_USER_PASSWORD="secret", DIB_DEBUG_TRACE="1").output


def test_a_user_who_is_there_is_kept(build):
    assert build(DIB_DEV_USER_USERNAME="root", DIB_DEV_USER_SHELL="/bin/zsh").lines == ["usermod --shell /bin/zsh root"]


def test_sudo_without_password(build, fake_root):
    assert build(DIB_DEV_USER_PWDLESS_SUDO="yes").called("visudo", "--check")
    assert fake_root.read("/etc/sudoers.d/devuser") == "devuser ALL=(ALL) NOPASSWD:ALL\n"
    assert fake_root.mode("/etc/sudoers.d/devuser") == 0o440


@pytest.mark.parametrize("name", ["id_rsa.pub", "id_ed25519.pub"])
def test_the_callers_key_is_taken(build, fake_root, name):
    (fake_root.base / "home/.ssh").mkdir()
    (fake_root.base / "home/.ssh" / name).write_text("ssh-x AAA me\n")
    assert build().called("chown", "-R", "devuser:", "/home/devuser/.ssh")
    assert fake_root.read("/home/devuser/.ssh/authorized_keys") == "ssh-x AAA me\n"
    assert fake_root.mode("/home/devuser/.ssh/authorized_keys") == 0o600
    assert fake_root.mode("/home/devuser/.ssh") == 0o700


def test_another_file_of_keys(build, fake_root, tmp_path):
    (tmp_path / "keys").write_text("one\ntwo\n")
    build(DIB_DEV_USER_AUTHORIZED_KEYS=str(tmp_path / "keys"))
    assert fake_root.read("/home/devuser/.ssh/authorized_keys") == "one\ntwo\n"


def test_a_file_of_keys_that_is_not_there(build):
    run = build.under_test.run("extra-data.d/50-devuser", env={"DIB_DEV_USER_AUTHORIZED_KEYS": "/no/keys"})
    assert run.exit_code == 1
    assert "/no/keys, which is not a file" in run.output
