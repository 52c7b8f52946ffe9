"""RPM packages during a build."""

import pytest


@pytest.fixture
def install(fake_root, element):
    fake_root.like("fedora-41")
    under_test = element("yum", also=["pkg-map"])
    return lambda *words, **env: under_test.run_with("bin/install-packages", *words, side="target", env=env)


@pytest.mark.parametrize(("words", "lines"), [
    (["a", "b c"], ["dnf -y install a b c", "dnf -q mark install a b c"]), (["-u"], ["dnf -y update"]),
    (["-e", "a"], ["dnf -y remove a"]), ([], []),
    (["-d", "/tmp/x", "a"], ["dnf -y install --downloadonly --downloaddir=/tmp/x a"]),
])
def test_what_the_package_manager_is_told(install, words, lines):
    run = install(*words)
    assert run.ok, run.output
    assert run.lines == lines


def test_another_manager_and_its_flags(install):
    assert install("a", YUM="yum", YUM_FLAGS="-y -v").lines == ["yum -y -v install a"]


def test_yum_where_there_is_no_dnf(install, commands):
    commands.missing("dnf")
    assert install("a").lines == ["yum -y install a"]


def test_names_are_translated(install, commands):
    commands.on("pkg-map").prints("one\ntwo")
    assert install("-m", "app", "x").lines[-1] == "dnf -q mark install one two"


def test_a_blacklist_fits_whole_names(install, fake_root):
    fake_root.write("/tmp/yum-blacklist", "dkms\n")
    run = install("dkms", "dkms-tools")
    assert run.lines[0] == "dnf -y install dkms-tools" and "dkms is in /tmp/yum-blacklist" in run.output


def test_wrong_options_are_told(install):
    run = install("-q", "x")
    assert run.exit_code == 1 and "usage: install-packages" in run.output


def test_the_cache_is_the_hosts_during_the_build(fake_root, element, commands):
    fake_root.like("fedora-41")
    commands.fake("mount")
    under_test = element("yum")
    assert under_test.run("root.d/50-yum-cache").called("mount", "--bind")
    before = fake_root.read("/etc/dnf/dnf.conf")
    assert under_test.run("pre-install.d/00-yum-keepcache").ok
    assert fake_root.read("/etc/dnf/dnf.conf") == "[main]\nkeepcache=1\ncachedir=/tmp/yum\ngpgcheck=1\n"
    assert under_test.run("post-install.d/99-yum-keepcache").ok
    assert fake_root.read("/etc/dnf/dnf.conf") == before


def test_repositories_for_the_build_only(fake_root, element, tmp_path):
    fake_root.like("fedora-41")
    for name in ("a.repo", "b.repo"):
        (tmp_path / name).write_text("[x]\n")
    env = {"DIB_YUM_REPO_CONF": f"{tmp_path}/a.repo {tmp_path}/b.repo"}
    under_test = element("yum")
    assert under_test.run("extra-data.d/99-yum-repo-conf", env=env).ok
    assert fake_root.exists("/etc/yum.repos.d/b.repo")
    assert under_test.run("cleanup.d/99-yum-repo-conf", env=env).ok
    assert not fake_root.exists("/etc/yum.repos.d/a.repo") and fake_root.exists("/etc/yum.repos.d/fedora.repo")
    run = under_test.run("extra-data.d/99-yum-repo-conf", env={"DIB_YUM_REPO_CONF": "/no.repo"})
    assert run.exit_code == 1 and "/no.repo, which is not a file" in run.output


def test_repositories_and_streams_that_stay(fake_root, element):
    fake_root.like("centos-stream-9")
    run = element("yum").run("pre-install.d/00-yum-keepcache",
                             env={"DIB_YUM_REPO_PACKAGE": "centos-release-x", "DIB_DNF_MODULE_STREAMS": "a:1 b:2"})
    assert run.ok and run.called("dnf", "-y", "install", "centos-release-x")
    assert run.called("dnf", "-y", "module", "enable", "a:1") and run.called("dnf", "module", "enable", "b:2")
