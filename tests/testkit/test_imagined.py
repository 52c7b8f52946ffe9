"""The fake root in pyfakefs, and ways between it and the one on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PYTHON = """#!/usr/bin/env python3
import os, sys
from pathlib import Path

name = os.environ["NAME"]
Path("/etc/hostname").write_text(name + "\\n")
os.chmod("/etc/hostname", 0o600)
os.remove("/etc/hosts")
print("named", *sys.argv[1:])
sys.exit(3 if name == "bad" else 0)
"""


@pytest.fixture
def shelf(tmp_path):
    for name, text in (("10-python", PYTHON), ("20-bash", "#!/bin/bash\necho $(</etc/hostname) >/etc/copy\n"),
                       ("30-programs", "#!/usr/bin/python3\nimport subprocess\nsubprocess.run(['true'])\n")):
        script = tmp_path / "shelf/e/install.d" / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(text)
        script.chmod(0o755)
    return tmp_path / "shelf"


@pytest.mark.fake_root("imagined")
def test_code_of_this_process_sees_an_imagined_root(fake_root):
    fake_root.like("debian-12")
    assert "bookworm" in Path("/etc/os-release").read_text()
    assert os.path.islink("/etc/mtab")
    with open("/etc/mine", "w") as file:
        file.write("text")
    assert fake_root.read("/etc/mine") == "text"
    assert fake_root.env["DISTRO_NAME"] == "debian"


@pytest.mark.fake_root("imagined")
def test_the_face_is_the_same(fake_root):
    fake_root.write("/srv/x", "one", mode=0o640)
    fake_root.write("/srv/x", "two")
    fake_root.chown("/srv/x", 33, 44)
    fake_root.symlink("/srv/link", "x")
    fake_root.mkdir("/srv/empty", mode=0o711)
    assert (fake_root.read("/srv/link"), fake_root.mode("/srv/x")) == ("two", 0o644)
    assert fake_root.owner("/srv/x") == (33, 44)
    assert (fake_root.link("/srv/link"), fake_root.link("/srv/x")) == ("x", None)
    assert fake_root.tree("/srv") == ["/srv/empty", "/srv/link", "/srv/x"]
    fake_root.remove("/srv/x")
    assert not fake_root.exists("/srv/x") and fake_root.exists("/srv/link")


@pytest.mark.fake_root("imagined")
def test_a_python_script_runs_over_an_imagined_root(shelf, fake_root, element):
    fake_root.like("debian-12")
    run = element("e", shelves=[shelf]).run("install.d/10-python", "a", "b", env={"NAME": "box"})
    assert (run.exit_code, run.output) == (0, "named a b\n")
    assert fake_root.read("/etc/hostname") == "box\n"
    assert run.changes.changed["/etc/hostname"][1].mode == 0o600
    assert run.removed == ("/etc/hosts",)
    assert "NAME" not in os.environ


@pytest.mark.fake_root("imagined")
def test_an_imagined_root_refuses_what_would_reach_the_machine(shelf, fake_root, element):
    under_test = element("e", shelves=[shelf])
    with pytest.raises(AssertionError, match="materialised"):
        under_test.run("install.d/20-bash")
    run = under_test.run("install.d/30-programs")
    assert run.exit_code == 1 and "would run on the real machine" in run.output


def test_the_same_python_script_runs_on_disk(shelf, fake_root, element):
    fake_root.like("debian-12")
    run = element("e", shelves=[shelf]).run("install.d/10-python", env={"NAME": "bad"})
    assert (run.exit_code, run.removed) == (3, ("/etc/hosts",))


def test_what_a_script_left_is_loaded_into_pyfakefs(shelf, fake_root, element, fs):
    fake_root.like("debian-12").write("/etc/hostname", "box")
    run = element("e", shelves=[shelf]).run("install.d/20-bash")
    assert run.ok, run.output
    assert not os.path.exists("/etc/copy")
    fake_root.load_into(fs)
    with open("/etc/copy") as file:
        assert file.read() == "box\n"
    assert os.path.islink("/etc/mtab") and os.stat("/etc/sudoers").st_mode & 0o777 == 0o440
    fake_root.load_into(fs, at="/again")
    assert Path("/again/etc/copy").read_text() == "box\n"


def test_a_root_is_filled_from_pyfakefs(shelf, fake_root, element, fs):
    fs.create_file("/etc/hostname", contents="imagined", st_mode=0o100640)
    fs.create_symlink("/etc/link", "hostname")
    fs.create_dir("/srv/empty")
    fake_root.fill_from(fs)
    assert element("e", shelves=[shelf]).run("install.d/20-bash").ok
    assert fake_root.read("/etc/copy") == "imagined\n"
    assert fake_root.mode("/etc/hostname") == 0o640
    assert fake_root.tree("/") == ["/etc/copy", "/etc/hostname", "/etc/link", "/srv/empty"]
    assert not os.path.exists("/etc/copy")  # in the filesystem of the test
