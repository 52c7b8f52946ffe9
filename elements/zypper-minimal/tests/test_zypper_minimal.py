"""A root of SUSE's packages."""

import pytest

SCRIPT = "root.d/08-zypper-minimal"


@pytest.fixture
def bootstrap(fake_root, element, commands):
    fake_root.mkdir("/etc")
    fake_root.env |= {"DISTRO_NAME": "opensuse", "DIB_RELEASE": "15.6"}
    commands.fake("zypper", "unshare")
    under_test = element("zypper-minimal")
    return lambda **env: under_test.run(SCRIPT, env=env)


@pytest.mark.parametrize(("env", "address"), [
    ({"DIB_DISTRIBUTION_MIRROR": "http://m.test/"}, "http://m.test/distribution/leap/15.6/repo/oss/"),
    ({"DIB_DISTRIBUTION_MIRROR": "http://m.test", "DIB_RELEASE": "tumbleweed"}, "http://m.test/tumbleweed/repo/oss/"),
    ({"DIB_ZYPPER_REPOS": "oss=>http://x.test/a", "DIB_ZYPPER_GPGCHECK": "0"}, "http://x.test/a"),
])
def test_zypper_of_the_host_installs_it(bootstrap, env, address):
    run = bootstrap(**env)
    assert run.ok, run.output
    assert run.called("unshare", "zypper", "addrepo", "--name", "oss", address, "oss")
    assert run.called("unshare", "zypper", "install", "filesystem")
    assert run.called("unshare", "zypper", "install", "patterns-base-minimal_base", "zypper", "python3")


def test_a_wrong_repository_is_told(bootstrap):
    run = bootstrap(DIB_ZYPPER_REPOS="http://x.test")
    assert run.exit_code == 1 and "is not NAME=>ADDRESS" in run.output


def test_the_host_needs_zypper(bootstrap, commands):
    commands.missing("zypper")
    assert "apt-get install zypper" in bootstrap().output


def test_translations_for_english_only(fake_root, element):
    fake_root.like("opensuse-leap-15.6")
    for name in ("de", "en_GB", "C"):
        fake_root.write(f"/usr/share/locale/{name}/x", "")
    assert element("zypper-minimal").run("post-install.d/20-locales").ok
    assert fake_root.exists("/usr/share/locale/en_GB/x") and not fake_root.exists("/usr/share/locale/de/x")
