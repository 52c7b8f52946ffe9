"""Files of all elements, at their places in the target."""

import pytest


@pytest.fixture
def static(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("install-static")
    folder = under_test.hooks / "static"

    def put(path, text="x\n", mode=0o644):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    put.run = lambda: under_test.run("install.d/10-install-static-files")
    put.folder = folder
    return put


@pytest.mark.contract("C-266")
def test_files_keep_their_modes_and_belong_to_root(static, fake_root):
    static("etc/app/app.conf", "a = 1\n", 0o640)
    static("usr/local/sbin/app with blank", "#!/bin/sh\n", 0o755)
    run = static.run()
    assert run.ok, run.output
    assert run.wrote == ("/etc/app/app.conf", "/usr/local/sbin/app with blank")
    assert fake_root.mode("/etc/app/app.conf") == 0o640
    assert fake_root.mode("/usr/local/sbin/app with blank") == 0o755
    assert fake_root.owner("/etc/app/app.conf") == fake_root.owner("/etc/hosts")


@pytest.mark.contract("C-266")
def test_existing_directories_and_files_keep_their_modes(static, fake_root):
    fake_root.write("/etc/secret.conf", "old\n", mode=0o600)
    static("etc/secret.conf", "new\n")
    static("tmp/file")
    assert static.run().ok
    assert fake_root.read("/etc/secret.conf") == "new\n"
    assert fake_root.mode("/etc/secret.conf") == 0o600
    assert fake_root.mode("/tmp") == 0o1777


def test_links_are_copied_as_links_and_directories_behind_links_are_kept(static, fake_root):
    static("lib/systemd/system/x.service")
    (static.folder / "etc").mkdir()
    (static.folder / "etc/mtab").symlink_to("/proc/mounts")
    (static.folder / "etc/dangling").symlink_to("nowhere")
    assert static.run().ok
    assert fake_root.link("/lib") == "usr/lib"
    assert fake_root.exists("/usr/lib/systemd/system/x.service")
    assert fake_root.link("/etc/mtab") == "/proc/mounts"
    assert fake_root.link("/etc/dangling") == "nowhere"


def test_a_link_in_the_way_is_replaced_not_followed(static, fake_root):
    fake_root.write("/etc/real", "untouched\n")
    fake_root.symlink("/etc/app.conf", "real")
    static("etc/app.conf", "new\n")
    assert static.run().ok
    assert fake_root.read("/etc/real") == "untouched\n"
    assert fake_root.link("/etc/app.conf") is None


@pytest.mark.parametrize("name", ["core", "tags", "a.o", "a.bak", "a~", ".git/config", "#a#"])
@pytest.mark.contract("C-266")
def test_what_version_control_and_editors_leave_behind_stays_out(static, name):
    static(f"etc/{name}")
    static("etc/.hidden")
    assert static.run().wrote == ("/etc/.hidden",)


def test_no_static_files_at_all_are_fine(static):
    assert static.run().ok
