"""A directory that stands for the target."""

from __future__ import annotations

import os

import pytest

from pydib.testkit.fake_root import FakeRoot
from pydib.testkit.ready import ready_names


def test_a_ready_root_that_does_not_exist_is_named(fake_root):
    with pytest.raises(LookupError, match=r"there are: bare, .*debian-12,"):
        fake_root.like("debian-99")


def test_links_stay_inside_the_root(fake_root):
    fake_root.write("/data/real", "x")
    fake_root.symlink("/etc/absolute", "/data/real")
    fake_root.symlink("/etc/upwards", "../../../../data/real")
    assert fake_root.read("/etc/absolute") == fake_root.read("/etc/upwards") == "x"
    assert fake_root.tree("/etc") == ["/etc/absolute", "/etc/upwards"]
    assert os.path.lexists(fake_root.directory / "etc/absolute")


@pytest.mark.parametrize("name", ready_names())
def test_every_ready_root_says_what_it_is(fake_root, name):
    fake_root.like(name)
    assert {"DISTRO_NAME", "DIB_RELEASE", "DIB_INIT_SYSTEM"} <= fake_root.env.keys()
    assert "root:" in fake_root.read("/etc/passwd")
    assert fake_root.mode("/tmp") == 0o1777


@pytest.mark.parametrize("name", ready_names())
def test_scripts_run_in_every_ready_root(fake_root, element, tmp_path, name):
    script = tmp_path / "shelf/e/install.d/10-look"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/bash\nset -eu\ngrep -q ^root: /etc/passwd\n/bin/sh -c 'echo \"$1\"' sh "
                      "\"$(/usr/bin/id -u) $DISTRO_NAME $(ls /etc | wc -l)\"\n")
    script.chmod(0o755)
    fake_root.like(name)
    run = element("e", shelves=[tmp_path / "shelf"]).run("install.d/10-look")
    assert run.ok, run.output
    assert run.output.split()[:2] == ["0", fake_root.env["DISTRO_NAME"]]
    assert not run.changes


def test_there_is_a_ready_root_for_each_release_that_elements_meet():
    names = set(ready_names())
    assert {f"debian-{number}" for number in (11, 12, 13)} <= names
    assert {f"ubuntu-{number}" for number in ("20.04", "22.04", "24.04", "26.04")} <= names
    assert {f"{name}-{number}" for name in ("centos-stream", "rocky") for number in (9, 10)} <= names
    assert {"fedora-41", "opensuse-leap-15.6", "gentoo", "odd", "bare"} <= names


def test_before_the_merge_bin_and_lib_are_directories_of_their_own(fake_root, element, tmp_path):
    script = tmp_path / "shelf/e/install.d/10-look"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/bash\nset -eu\n[ ! -L /bin ] && [ ! -L /lib64 ]\n/bin/ls /lib >/dev/null\n"
                      "echo x >/sbin/tool; echo y >/lib/pydib-file; rm /bin/tac\n"
                      "apt-get update; /bin/systemctl enable a\n")
    script.chmod(0o755)
    fake_root.like("debian-12-split-usr")
    run = element("e", shelves=[tmp_path / "shelf"]).run("install.d/10-look")
    assert run.ok, run.output
    assert run.lines == ["apt-get update", "systemctl enable a"]
    assert fake_root.read("/sbin/tool") == "x\n" and not fake_root.exists("/usr/sbin/tool")
    assert run.wrote == ("/lib/pydib-file", "/sbin/tool")


def test_a_root_begins_with_another_and_takes_away(fake_root):
    fake_root.like("debian-12-sysvinit")
    assert fake_root.exists("/etc/apt/sources.list") and not fake_root.exists("/etc/systemd")
    assert fake_root.link("/usr/sbin/init") is None and fake_root.read("/usr/sbin/init") == "an init\n"
    assert fake_root.env["DIB_INIT_SYSTEM"] == "sysv"


def test_files_belong_to_others_also_for_ordinary_users(fake_root, element, tmp_path):
    script = tmp_path / "shelf/e/install.d/10-own"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/bash\nset -eu\nstat -c %u:%g /srv/given\necho secret >/srv/mine\n"
                      "chmod 0600 /srv/mine\nchown 33:44 /srv/mine\n")
    script.chmod(0o755)
    fake_root.like("bare").write("/srv/given", "x")
    try:
        fake_root.chown("/srv/given", 1000, 1001)
    except OSError:
        pytest.skip("this user has no subordinate ids, so nothing can belong to others")
    run = element("e", shelves=[tmp_path / "shelf"]).run("install.d/10-own")
    assert run.output == "1000:1001\n"
    assert fake_root.owner("/srv/mine") == (33, 44)
    assert fake_root.read("/srv/mine") == "secret\n"
    assert repr(run.changes.added["/srv/mine"]) == "<file 0600 33:44 'secret\\n'>"


def test_a_test_may_have_roots_of_its_own(tmp_path):
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots/mine.yaml").write_text("env: {DISTRO_NAME: mine}\nfiles: {/etc/x: text}\nlinks: {/etc/y: x}\n"
                                              "modes: {/etc/x: '0600'}\ndirectories: {/srv: '0711'}\n")
    root = FakeRoot(tmp_path, shelves=[tmp_path / "roots"]).like("mine")
    assert (root.read("/etc/y"), root.mode("/etc/x"), root.mode("/srv")) == ("text", 0o600, 0o711)
    assert root.env["DISTRO_NAME"] == "mine"
    assert root.tree() == ["/etc/x", "/etc/y", "/srv"]


def test_files_are_written_read_and_removed(fake_root):
    fake_root.write("/etc/deep/file", b"\xff\n", mode=0o640)
    assert fake_root.read_bytes("/etc/deep/file") == b"\xff\n"
    assert fake_root.mode("/etc/deep/file") == 0o640
    fake_root.remove("/etc/deep/file")
    assert not fake_root.exists("/etc/deep/file")
    assert fake_root.tree("/etc") == ["/etc/deep"]


def test_a_link_to_nothing_is_there(fake_root):
    fake_root.symlink("/etc/link", "nowhere")
    assert fake_root.exists("/etc/link")
    assert fake_root.link("/etc/link") == "nowhere"
    assert fake_root.link("/etc") is None


def test_links_in_a_circle_are_an_error(fake_root):
    fake_root.symlink("/a", "b")
    fake_root.symlink("/b", "a")
    with pytest.raises(OSError, match="too many links"):
        fake_root.read("/a")
