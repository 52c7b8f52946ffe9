"""What runs tell."""

from __future__ import annotations

import pytest


@pytest.fixture
def shelf(tmp_path):
    scripts = {
        "app/element-deps": "base-of-app\n",
        "app/root.d/10-root": "echo root >\"$TARGET_ROOT/etc/made-by\"\n",
        "app/extra-data.d/10-data": "echo payload >\"$TMP_HOOKS_PATH/payload\"; test -n \"$TMP_MOUNT_PATH\"\n",
        "app/install.d/50-app": "cat \"$(dirname \"$0\")/../payload\" >/etc/payload; systemctl enable app.service\n",
        "app/post-install.d/10-mask": "systemctl mask --now noise\nln -s /dev/null /etc/systemd/system/other.service\n",
        "app/finalise.d/10-last": "echo \"$IMAGE_BLOCK_DEVICE\" >/etc/device\n",
        "app/cleanup.d/10-clean": "rm \"$TARGET_ROOT/etc/made-by\"\n",
        "base-of-app/install.d/9-first": "systemctl enable getty\nupdate-rc.d old disable\n",
        "base-of-app/environment.d/10-env": "export FROM_BASE=yes\n",
    }
    for path, text in scripts.items():
        file = tmp_path / "shelf" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if "deps" in path else f"#!/bin/bash\nset -eu\n{text}")
        file.chmod(0o755)
    return tmp_path / "shelf"


def put(shelf, text):
    script = shelf / "one/install.d/10-one"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/bash\nset -eu\n{text}")
    script.chmod(0o755)


def test_a_phase_runs_the_scripts_of_all_elements_in_order(fake_root, element, shelf):
    fake_root.like("debian-12")
    under_test = element("app", shelves=[shelf])
    under_test.run("extra-data.d/10-data")
    runs = under_test.run_phase("install")
    assert runs.ok, runs.output
    assert runs.scripts == ["install.d/9-first", "install.d/50-app"]
    assert runs.lines == ["systemctl enable getty", "update-rc.d old disable", "systemctl enable app.service"]
    assert list(runs.changes.added) == ["/etc/payload"]
    assert runs.seconds > 0 and len(runs) == 2 and runs[0].called("systemctl")


def test_a_whole_build_runs_against_the_fake_root(fake_root, element, shelf):
    fake_root.like("debian-12")
    build = element("app", shelves=[shelf]).run_all()
    assert build.ok, build.output
    assert build.scripts == ["root.d/10-root", "extra-data.d/10-data", "install.d/9-first", "install.d/50-app",
                             "post-install.d/10-mask", "finalise.d/10-last", "cleanup.d/10-clean"]
    assert build.enabled == {"getty", "app"}
    assert build.masked == {"noise", "other"}
    assert build.services.disabled == {"old"}
    assert "/etc/made-by" not in build.changes.added
    assert fake_root.read("/etc/payload") == "payload\n"


def test_a_build_stops_at_the_first_script_that_fails(fake_root, element, shelf):
    (shelf / "base-of-app/install.d/9-first").write_text("#!/bin/bash\nexit 7\n")
    fake_root.like("debian-12")
    build = element("app", shelves=[shelf]).run_all()
    assert (build.ok, build.exit_code, build.scripts[-1]) == (False, 7, "install.d/9-first")


def test_changes_tell_content_and_metadata(fake_root, element, shelf):
    put(shelf, "echo new >/etc/new; chmod 0640 /etc/new; echo more >>/etc/hosts; rm /etc/fstab; chmod 0750 /root\n"
        "mkdir -p /opt/deep/empty; ln -s a /etc/link; printf '\\377' >/etc/bytes; echo localhost >/etc/hostname\n"
        "mkfifo /run/pipe; head -c 2000000 /dev/zero >/etc/large\n")
    fake_root.like("debian-12").write("/etc/hostname", "localhost\n")
    changes = element("one", shelves=[shelf]).run("install.d/10-one").changes
    assert repr(changes.added["/etc/new"]) == "<file 0640 'new\\n'>"
    assert changes.added["/etc/bytes"].content == b"\xff"
    assert changes.added["/etc/link"].content == "a" and changes.added["/etc/link"].kind == "link"
    assert changes.added["/etc/large"].content == "2000000 bytes"
    assert changes.added["/run/pipe"].kind == "fifo"
    assert "/opt/deep/empty" in changes.added and "/opt/deep" not in changes.added
    before, after = changes.changed["/etc/hosts"]
    assert after.content == before.content + "more\n"
    assert [state.mode for state in changes.changed["/root"]] == [0o700, 0o750]
    assert "/etc/hostname" not in changes.changed  # written anew, but the same
    assert set(changes.removed) == {"/etc/fstab"}
    assert "~ /root <directory 0700 None> -> <directory 0750 None>" in str(changes)


def test_services_follow_the_last_word(fake_root, element, shelf):
    put(shelf, "systemctl enable a b.service\nsystemctl disable a\nsystemctl mask c\nsystemctl unmask c\n"
        "mkdir -p /etc/systemd/system/multi-user.target.wants\n"
        "ln -s /usr/lib/systemd/system/d.service /etc/systemd/system/multi-user.target.wants/d.service\n"
        "chkconfig e on; rc-update add f default; systemctl start g; chkconfig --del h\n")
    fake_root.like("debian-12").commands.fake("rc-update")
    services = element("one", shelves=[shelf]).run("install.d/10-one").services
    assert services.enabled == {"b", "d", "e", "f"}
    assert services.disabled == {"a", "h"}
    assert services.masked == set()
