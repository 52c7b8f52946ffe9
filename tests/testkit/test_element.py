"""The fixtures, tried on small elements that the tests write themselves."""

from __future__ import annotations

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


def test_the_steps_of_a_script_are_shown_and_not_ours(fake_root, shelf):
    fake_root.like("bare")
    put(shelf, "e/install.d/10-trace", "#!/bin/bash\nset -x\nf() { echo \"in f\"; }\nx=$(f)\n[[ a == b ]] || echo no\n")
    run = under_test("e", fake_root, shelf).run("install.d/10-trace")
    assert run.output == "++ f\n++ echo 'in f'\n+ x='in f'\n+ [[ a == b ]]\n+ echo no\nno\n"


def test_scripts_start_with_the_environment_of_a_build(fake_root, shelf):
    """Nothing is missing that the engine gives: names to import (C-043), what sudo sets (C-112), the disk (C-206)."""
    fake_root.like("debian-12")
    put(shelf, "e/extra-data.d/10-host", "#!/bin/bash\nset -eu\n"
        '"$DIB_PYTHON_EXEC" -c "import diskimage_builder.paths"\necho "$DIB_BLOCK_DEVICE_PARAMS_YAML"\n')
    put(shelf, "e/install.d/10-target", '#!/bin/bash\nset -eu\necho "$SUDO_USER $PATH"\n'
        'echo "$DIB_ENV"\n')
    subject = under_test("e", fake_root, shelf)
    host = subject.run("extra-data.d/10-host")
    assert host.ok, host.output
    assert host.output.endswith("/build/block-device/params.yaml\n")
    target = subject.run("install.d/10-target", env={"PATH": "/elsewhere", "DIB_X": "a b"})
    assert target.output.splitlines()[0] == "root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert "PYTHONPATH" not in subject.environment("install.d"), "measuring coverage adds its own, the engine none"
    assert 'declare -x DIB_X="a b"' in target.output
