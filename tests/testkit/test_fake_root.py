"""A directory that stands for the target."""

from __future__ import annotations

import os

import pytest

from pydib.testkit.fake_root import FakeRoot


def test_a_ready_root_that_does_not_exist_is_named(fake_root):
    with pytest.raises(LookupError, match="there are: bare, debian-12"):
        fake_root.like("debian-99")


def test_links_stay_inside_the_root(fake_root):
    fake_root.write("/data/real", "x")
    fake_root.symlink("/etc/absolute", "/data/real")
    fake_root.symlink("/etc/upwards", "../../../../data/real")
    assert fake_root.read("/etc/absolute") == fake_root.read("/etc/upwards") == "x"
    assert fake_root.tree("/etc") == ["/etc/absolute", "/etc/upwards"]
    assert os.path.lexists(fake_root.directory / "etc/absolute")


@pytest.mark.parametrize("name", ["bare", "debian-12", "fedora-41"])
def test_every_ready_root_says_what_it_is(fake_root, name):
    fake_root.like(name)
    assert {"DISTRO_NAME", "DIB_RELEASE", "DIB_INIT_SYSTEM"} <= fake_root.env.keys()
    assert "root:" in fake_root.read("/etc/passwd")
    assert fake_root.mode("/tmp") == 0o1777


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
