"""The builder's own settings, in the image."""

import pytest


@pytest.fixture
def under_test(fake_root, element, commands):
    commands.fake("chown")
    fake_root.like("debian-12")
    return element("local-config")


def test_the_callers_keys_are_added(under_test, fake_root):
    (fake_root.base / "home/.ssh").mkdir()
    (fake_root.base / "home/.ssh/authorized_keys").write_text("ssh-x AAA me\n")
    fake_root.write("/root/.ssh/authorized_keys", "older\n")
    assert under_test.run("extra-data.d/62-ssh-key").ok
    run = under_test.run("install.d/62-ssh-key")
    assert run.ok, run.output
    assert fake_root.read("/root/.ssh/authorized_keys") == "older\nssh-x AAA me\n"
    assert (fake_root.mode("/root/.ssh"), fake_root.mode("/root/.ssh/authorized_keys")) == (0o700, 0o600)
    assert run.called("chown", "root:", "/root/.ssh/authorized_keys")


def test_a_user_who_is_not_there_is_named(under_test, fake_root):
    (fake_root.base / "home/.ssh").mkdir()
    (fake_root.base / "home/.ssh/authorized_keys").write_text("x\n")
    under_test.run("extra-data.d/62-ssh-key")
    run = under_test.run("install.d/62-ssh-key", env={"DIB_LOCAL_CONFIG_USERNAME": "nobody-here"})
    assert run.exit_code == 1
    assert "no user nobody-here" in run.output


def test_without_keys_nothing_happens(under_test):
    assert under_test.run("extra-data.d/62-ssh-key").ok
    run = under_test.run("install.d/62-ssh-key")
    assert run.ok and run.wrote == ()


def test_without_proxies_nothing_happens(under_test):
    run = under_test.run("pre-install.d/02-proxy-settings", env={"no_proxy": "a"})
    assert run.ok and run.wrote == ()


def test_apt_gets_the_proxies(under_test, fake_root):
    run = under_test.run("pre-install.d/02-proxy-settings",
                         env={"http_proxy": "http://p:1", "https_proxy": "http://s:2", "no_proxy": "a,b"})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/apt.conf.d/02-use-http-proxy") == (
        'Acquire::http::Proxy "http://p:1";\nAcquire::https::Proxy "http://s:2";\n')
    assert fake_root.read("/etc/apt/apt.conf.d/02-no-proxy").splitlines() == [
        f'Acquire::http::Proxy::{host} "DIRECT";' for host in ("a", "b", "192.0.2.1")]


def test_other_package_managers_get_it_too(under_test, fake_root):
    fake_root.write("/etc/dnf/dnf.conf", "[main]\nproxy=old\n")
    fake_root.write("/etc/sysconfig/proxy", 'PROXY_ENABLED="no"\nHTTP_PROXY=""\n')
    assert under_test.run("pre-install.d/02-proxy-settings", env={"http_proxy": "http://p:1"}).ok
    assert fake_root.read("/etc/dnf/dnf.conf") == "[main]\nproxy=http://p:1\n"
    assert 'PROXY_ENABLED="yes"\nHTTP_PROXY="http://p:1"\n' in fake_root.read("/etc/sysconfig/proxy")


def test_the_user_stack_gets_it_too(under_test, fake_root):
    fake_root.write("/etc/passwd", fake_root.read("/etc/passwd") + "stack:x:1000:1000::/home/stack:/bin/sh\n")
    fake_root.write("/home/stack/.profile", "umask 022\n")
    assert under_test.run("pre-install.d/02-proxy-settings", env={"http_proxy": "http://p:1"}).ok
    assert fake_root.read("/home/stack/.profile") == (
        "umask 022\nexport http_proxy='http://p:1'\nexport no_proxy='192.0.2.1'\n")
