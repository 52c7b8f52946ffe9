"""A finished image, asked without booting it: with libguestfs, over a disk that is made from a fake root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pydib.host.command import find_tool
from pydib.testkit.fake_root import FakeRoot
from tests.testkit import page as pages

pytest_plugins = ["pytester"]

STATUS = "".join(f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n\n"
                 for name, version in (("base-files", "12.4"), ("redis", "5:7.0.15-1")))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw ext4 disk with a small Debian."""
    if find_tool("mke2fs") is None:
        pytest.skip("mke2fs (package e2fsprogs) is not installed")
    base = tmp_path_factory.mktemp("image")
    root = FakeRoot(base / "root").like("debian-12")
    root.write("/var/lib/dpkg/status", STATUS)
    root.write("/etc/redis.conf", "port 6379\n", mode=0o640)
    root.write("/etc/latin", b"caf\xe9\n")
    for name in ("redis.service", "getty@.service", "ssh.service"):
        root.symlink(f"/etc/systemd/system/multi-user.target.wants/{name}", f"/usr/lib/systemd/system/{name}")
    root.symlink("/etc/systemd/system/apt-daily.service", "/dev/null")
    root.symlink("/etc/to-nothing", "nowhere")
    if os.geteuid() == 0:
        root.chown("/etc/redis.conf", 1, 27)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-d", str(root.directory), str(base / "disk.raw"), "32M"],
                   check=True)
    return base / "disk.raw"


pytestmark = pytest.mark.machine


def test_files_are_read_as_with_pathlib(image, disk):
    etc = image(disk).path("/etc")
    conf = etc / "redis.conf"
    assert conf.read_text() == "port 6379\n"
    assert (conf.exists(), conf.is_file(), conf.is_dir(), etc.is_dir(), conf.parent) == (True, True, False, True, etc)
    assert (conf.mode(), conf.name, str(conf)) == (0o640, "redis.conf", "/etc/redis.conf")
    assert "redis.conf" in [path.name for path in etc.iterdir()]
    assert (etc / "latin").read_bytes() == b"caf\xe9\n" and (etc / "latin").read_text() == "caf\udce9\n"
    assert not (etc / "nothing").exists()
    with pytest.raises(FileNotFoundError, match="in the image"):
        (etc / "nothing").read_text()
    with pytest.raises(FileNotFoundError):
        etc.read_bytes()


def test_owners_have_the_names_that_the_image_gives_them(image, disk):
    conf = image(disk).path("/etc/redis.conf")
    if os.geteuid() == 0:
        assert (conf.owner(), conf.group(), image(disk).owner("/etc/redis.conf")) == ("daemon", "sudo", (1, 27))
    assert image(disk).path("/etc/passwd").owner() in ("root", str(os.geteuid()))


def test_links_are_told_and_not_followed_out_of_the_image(image, disk):
    link = image(disk).path("/etc/to-nothing")
    assert (link.exists(), link.is_symlink(), str(link.readlink())) == (False, True, "nowhere")
    assert image(disk).exists("/etc/to-nothing") and image(disk).link("/etc/passwd") is None


def test_packages_and_services_are_listed(image, disk):
    assert image(disk).packages == {"base-files": "12.4", "redis": "5:7.0.15-1"}
    assert image(disk).services.enabled == {"redis", "getty@", "ssh"}
    assert image(disk).services.masked == {"apt-daily"}


def test_the_whole_tree_is_listed(image, disk):
    assert "/etc/systemd/system/apt-daily.service" in image(disk).tree("/etc/systemd")


def test_one_launch_serves_the_whole_module(image, disk):
    assert image(disk) is image(str(disk))


def test_the_example_of_the_page_runs(pytester, disk):
    (pytester.path / "debian.qcow2").symlink_to(disk)
    pytester.makepyfile(pages.read().image)
    pytester.runpytest().assert_outcomes(passed=1)
