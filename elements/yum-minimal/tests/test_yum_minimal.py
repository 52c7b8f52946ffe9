"""A root of RPM packages."""

import pytest

SCRIPT = "root.d/08-yum-minimal"


@pytest.fixture
def bootstrap(fake_root, element, commands, tmp_path):
    fake_root.mkdir("/etc")
    fake_root.env |= {"DISTRO_NAME": "fedora", "DIB_RELEASE": "41"}
    commands.fake("dnf", "rpm", "chroot", "unshare")
    commands.on("unshare").does(f'cp -r "$(sed -E "s/.*reposdir=([^ ]*).*/\\1/" <<<"$*")" "{tmp_path}/seen"')
    commands.on("rpm", "--eval").prints("/var/lib/rpm")
    commands.on("chroot", "rpm", "--eval").prints("/usr/lib/sysimage/rpm")
    under_test = element("yum-minimal")
    repos = tmp_path / "repos"
    repos.mkdir()
    (repos / "a.repo").write_text("[a]\n#baseurl=DIB_MIRROR/os/\nmetalink=http://m.test\n")

    def run(**env):
        return under_test.run(SCRIPT, env={"ARCH": "amd64", "DIB_YUM_MINIMAL_BOOTSTRAP_REPOS": str(repos), **env})

    run.hooks = under_test.hooks
    return run


def test_dnf_of_the_host_installs_it(bootstrap, fake_root):
    fake_root.write("/var/lib/rpm/rpmdb.sqlite", "database")
    run = bootstrap(DIB_YUM_MINIMAL_BOOTSTRAP_PACKAGES="vim-minimal")
    assert run.ok, run.output
    assert run.called("unshare", "dnf", "--assumeyes", "--releasever=41", "--forcearch=x86_64", "--setopt=gpgcheck=1",
                      "install", "dnf", "systemd", "vim-minimal", "fedora-release")
    assert fake_root.read("/usr/lib/sysimage/rpm/rpmdb.sqlite") == "database"
    assert not fake_root.exists("/var/lib/rpm") and run.called("chroot", "rpm", "--rebuilddb")
    assert fake_root.read("/etc/locale.conf") == "LANG=C.UTF-8\n"


@pytest.mark.parametrize(("arch", "cpu"), [("arm64", "aarch64"), ("ppc64el", "ppc64le"), ("s390x", "s390x")])
def test_other_architectures(bootstrap, arch, cpu):
    assert bootstrap(ARCH=arch).called("unshare", f"--forcearch={cpu}")


def test_a_mirror_for_the_build(bootstrap, tmp_path):
    assert bootstrap(DIB_DISTRIBUTION_MIRROR="http://x.test/f/").ok
    assert (tmp_path / "seen/a.repo").read_text() == "[a]\nbaseurl=http://x.test/f/os/\n"


def test_repositories_that_stay(bootstrap, fake_root, tmp_path):
    (tmp_path / "mine.repo").write_text("[mine]\n")
    assert bootstrap(DIB_YUM_MINIMAL_EXTRA_REPOS=str(tmp_path / "mine.repo")).ok
    assert (tmp_path / "seen/mine.repo").exists() and fake_root.exists("/etc/yum.repos.d/mine.repo")


def test_an_elements_own_repositories(bootstrap, tmp_path):
    folder = bootstrap.hooks / "yum.repos.d/41"
    folder.mkdir(parents=True)
    (folder / "own.repo").write_text("[own]\n")
    assert bootstrap(DIB_YUM_MINIMAL_BOOTSTRAP_REPOS="").ok
    assert (tmp_path / "seen/own.repo").exists()


def test_without_any_it_is_told_what_to_do(bootstrap):
    run = bootstrap(DIB_YUM_MINIMAL_BOOTSTRAP_REPOS="")
    assert run.exit_code == 1 and "set DIB_YUM_MINIMAL_BOOTSTRAP_REPOS" in run.output


def test_the_host_needs_dnf(bootstrap, commands):
    commands.missing("dnf")
    run = bootstrap()
    assert run.exit_code == 1 and "apt-get install dnf" in run.output


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_the_network(fake_root, element, wanted):
    fake_root.like("fedora-41")
    run = element("yum-minimal").run("install.d/10-base-networking", env={"DIB_YUM_MINIMAL_CREATE_INTERFACES": wanted})
    assert run.ok and fake_root.read("/etc/sysconfig/network") == "NETWORKING=yes\n"
    assert fake_root.exists("/etc/sysconfig/network-scripts/ifcfg-eth1") == (wanted == "1")
