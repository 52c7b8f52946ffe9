"""The init system, and what elements bring for it."""

import pytest


@pytest.fixture
def under_test(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("dib-init-system")
    for path in ("systemd/app.service", "upstart/app.conf", "openrc/app", "sysv/app"):
        file = under_test.hooks / "init-scripts" / path
        file.parent.mkdir(parents=True)
        file.write_text("text\n")
    return under_test


@pytest.mark.parametrize(("system", "path", "mode"), [
    ("systemd", "/usr/lib/systemd/system/app.service", 0o644), ("upstart", "/etc/init/app.conf", 0o644),
    ("openrc", "/etc/init.d/app", 0o755), ("sysv", "/etc/init.d/app", 0o755),
])
@pytest.mark.contract("C-270")
def test_scripts_of_this_init_system_are_installed(under_test, fake_root, system, path, mode):
    run = under_test.run("install.d/20-install-init-scripts", env={"DIB_INIT_SYSTEM": system})
    assert run.ok, run.output
    assert run.wrote == (path,)
    assert fake_root.mode(path) == mode


def test_the_helper_prints_its_name(under_test, fake_root):
    assert under_test.run("pre-install.d/04-dib-init-system").ok
    assert fake_root.mode("/usr/local/bin/dib-init-system") == 0o755
    assert fake_root.read("/usr/local/bin/dib-init-system").endswith("echo systemd\n")


@pytest.mark.parametrize("system", ["", "runit"])
@pytest.mark.contract("C-270")
def test_any_other_name_ends_every_phase(under_test, system):
    run = under_test.run("pre-install.d/04-dib-init-system", env={"DIB_INIT_SYSTEM": system})
    assert run.exit_code == 1
    assert f"DIB_INIT_SYSTEM is '{system}'" in run.output


def test_services_of_openrc_are_enabled(under_test, commands):
    commands.fake("rc-update")
    assert under_test.run("post-install.d/10-enable-init-scripts", env={"DIB_INIT_SYSTEM": "openrc"}).lines == [
        "rc-update add app default"]
    assert under_test.run("post-install.d/10-enable-init-scripts").calls == ()
