"""EPEL's repositories."""

import pytest

SCRIPT = "pre-install.d/05-rpm-epel-release"
REPO = "/etc/yum.repos.d/epel.repo"
STOCK = "[epel]\n#baseurl=https://d.test/pub/epel/9/Everything/$basearch/\nmetalink=https://m.test/x\nenabled=1\n"


@pytest.fixture
def epel(fake_root, element, commands):
    commands.on("install-packages", "epel-release").creates(REPO, text=STOCK)

    def run(root, **env):
        fake_root.like(root)
        return element("epel").run(SCRIPT, env=env)

    return run


def test_it_is_installed(epel, fake_root):
    assert epel("rocky-9").called("install-packages", "epel-release")
    assert fake_root.read(REPO) == STOCK


def test_a_mirror_of_ones_own(epel, fake_root):
    assert epel("centos-stream-9", DIB_EPEL_MIRROR="http://m.test/e/").ok
    assert fake_root.read(REPO) == "[epel]\nbaseurl=http://m.test/e/9/Everything/$basearch/\nenabled=1\n"


def test_repositories_that_are_there_when_asked_for(epel, fake_root):
    assert epel("rocky-9", DIB_EPEL_DISABLED="1").ok
    assert fake_root.read(REPO).endswith("enabled=0\n")


@pytest.mark.parametrize("root", ["fedora-41", "debian-12"])
def test_others_need_none(epel, root):
    run = epel(root)
    assert run.ok and run.lines == [] and "nothing is done" in run.output
