"""The fixtures, tried on small elements that the tests write themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pydib.testkit.element import ElementUnderTest
from pydib.testkit.fake_root import FakeRoot


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def put(shelf: Path, path: str, text: str, mode: int = 0o755) -> None:
    file = shelf / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def under_test(name: str, root: FakeRoot, shelf: Path) -> ElementUnderTest:
    return ElementUnderTest(name, root=root, shelves=[shelf])


def test_a_target_script_sees_the_fake_root_and_not_the_host(fake_root, shelf):
    fake_root.like("debian-12")
    put(shelf, "e/install.d/10-look", "#!/bin/bash\nset -eu\n. /etc/os-release; echo $ID $VERSION_ID\n"
        "pwd; id -u; ls /\n")
    run = under_test("e", fake_root, shelf).run("install.d/10-look")
    assert run.ok, run.output
    lines = run.output.split("\n")
    assert lines[:3] == ["debian 12", "/", "0"]
    assert " ".join(lines[3:-1]) == "bin boot dev etc home lib lib64 proc root run sbin sys tmp usr var"


def test_what_a_script_writes_is_in_the_fake_root_also_below_usr(fake_root, shelf):
    fake_root.like("debian-12")
    put(shelf, "e/install.d/10-write", "#!/bin/bash\nset -eu\ninstall -m 0750 /dev/stdin /usr/local/bin/tool <<<hello\n"
        "echo x > /usr/share/new-file\necho y > /sbin/in-sbin\nrm /etc/hosts\n")
    run = under_test("e", fake_root, shelf).run("install.d/10-write")
    assert run.ok, run.output
    assert run.wrote == ("/usr/local/bin/tool", "/usr/sbin/in-sbin", "/usr/share/new-file")
    assert run.removed == ("/etc/hosts",)
    assert fake_root.read("/usr/local/bin/tool") == "hello\n"
    assert fake_root.mode("/usr/local/bin/tool") == 0o750
    assert fake_root.read("/sbin/in-sbin") == "y\n"
    assert not Path("/usr/share/new-file").exists()


def test_a_file_of_the_hosts_usr_that_is_deleted_counts_as_gone(fake_root, shelf):
    fake_root.like("debian-12")
    put(shelf, "e/install.d/10-rm", "rm /usr/bin/tac; ! command -v tac\n")
    assert under_test("e", fake_root, shelf).run("install.d/10-rm").ok
    assert not fake_root.exists("/usr/bin/tac")
    assert Path("/usr/bin/tac").exists()


def test_commands_are_recorded_with_arguments_directory_and_input(fake_root, commands, shelf):
    fake_root.like("debian-12")
    put(shelf, "e/install.d/10-call", "cd /etc\napt-get -y install 'a b' ''\necho root:secret | chpasswd\n"
        "printf '%s\\n' one two | while read -r x; do systemctl enable $x; done\n")
    run = under_test("e", fake_root, shelf).run("install.d/10-call")
    assert run.ok, run.output
    assert run.calls[0].args == ("-y", "install", "a b", "")
    assert run.calls[0].cwd == "/etc"
    assert run.calls[1].stdin == "root:secret\n"
    assert run.lines[2:] == ["systemctl enable one", "systemctl enable two"]
    assert run.called("apt-get", "install", "a b")
    assert not run.called("apt-get", "remove")


def test_a_stand_in_does_what_the_last_matching_rule_says(fake_root, commands, shelf):
    fake_root.like("debian-12")
    commands.on("apt-get").prints("general")
    commands.on("apt-get", "install", "broken").exits(100).complains("no such package")
    commands.on("curl", "-o").does('while [ "$1" != -o ]; do shift; done; echo body > "$2"')
    put(shelf, "e/install.d/10-call", "apt-get update; curl -s -o /tmp/got x; apt-get install broken || echo code $?\n")
    run = under_test("e", fake_root, shelf).run("install.d/10-call")
    assert run.output == "general\nno such package\ncode 100\n"
    assert fake_root.read("/tmp/got") == "body\n"


def test_each_family_has_its_own_package_tools(fake_root, shelf):
    fake_root.like("fedora-41")
    put(shelf, "e/install.d/10-look", "command -v dnf; command -v apt-get || echo none; echo $DISTRO_NAME\n")
    assert under_test("e", fake_root, shelf).run("install.d/10-look").output == "/usr/bin/dnf\nnone\nfedora\n"


def test_a_program_can_be_missing_or_real(fake_root, commands, shelf):
    fake_root.like("debian-12")
    commands.missing("tac", "git")
    put(shelf, "e/install.d/10-look", "command -v tac || command -v git || echo neither\n")
    assert under_test("e", fake_root, shelf).run("install.d/10-look").output == "neither\n"


def test_environment_and_neighbours_come_from_dependencies(fake_root, shelf):
    fake_root.like("debian-12")
    put(shelf, "dep/environment.d/10-dep.bash", "export WORD=${WORD:-unset}-dep\n", 0o644)
    put(shelf, "dep/bin/helper", "#!/bin/bash\necho helped\n", 0o644)
    put(shelf, "e/element-deps", "dep\nnowhere\n", 0o644)
    put(shelf, "e/install.d/10-look", "echo $WORD; helper; cat $(dirname $0)/../element-deps\n")
    run = under_test("e", fake_root, shelf).run("install.d/10-look", env={"WORD": "test"})
    assert run.output == "test-dep\nhelped\ndep\nnowhere\n"


def test_a_host_script_finds_the_target_and_cannot_hurt_the_host(fake_root, shelf):
    fake_root.like("debian-12")
    put(shelf, "e/extra-data.d/10-host", "set -eu\ncp /etc/hostname \"$TMP_MOUNT_PATH/etc/from-host\"\n"
        "echo later > \"$TMP_HOOKS_PATH/install.d/payload\"\n"
        "sudo -E touch /usr/pydib-was-here 2>/dev/null || echo refused\n"
        "sudo chroot \"$TMP_MOUNT_PATH\" apt-get update\n")
    put(shelf, "e/install.d/10-use",
        "cat $(dirname $0)/payload\ntouch $(dirname $0)/payload 2>/dev/null || echo read-only\n")
    element = under_test("e", fake_root, shelf)
    run = element.run("extra-data.d/10-host")
    assert run.ok, run.output
    assert run.output == "refused\n"
    assert run.lines == ["apt-get update"]
    assert fake_root.exists("/etc/from-host")
    assert element.run("install.d/10-use").output == "later\nread-only\n"
    assert not fake_root.exists("/tmp/in_target.d")


def test_target_root_is_set_in_root_and_cleanup_only(fake_root, shelf):
    fake_root.like("bare")
    for phase in ("root.d", "cleanup.d", "extra-data.d"):
        put(shelf, f"e/{phase}/10-look", "echo \"${TARGET_ROOT:-none}\"\n")
    element = under_test("e", fake_root, shelf)
    where = f"{fake_root.directory}\n"
    assert [element.run(f"{phase}/10-look").output for phase in ("root.d", "cleanup.d", "extra-data.d")] == [
        where, where, "none\n"]


def test_a_failing_script_keeps_its_exit_code_and_phases_stop_there(fake_root, shelf):
    fake_root.like("bare")
    put(shelf, "e/install.d/9-first", "exit 0\n")
    put(shelf, "e/install.d/10-second", "exit 42\n")
    put(shelf, "e/install.d/11-third", "exit 0\n")
    runs = under_test("e", fake_root, shelf).run_phase("install.d")
    assert [(run.script, run.exit_code) for run in runs] == [("install.d/9-first", 0), ("install.d/10-second", 42)]


def test_a_script_that_hangs_is_ended(fake_root, shelf):
    fake_root.like("bare")
    put(shelf, "e/install.d/10-hang", "sleep 30\n")
    with pytest.raises(AssertionError, match="did not come to an end"):
        under_test("e", fake_root, shelf).run("install.d/10-hang", seconds=1)


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
