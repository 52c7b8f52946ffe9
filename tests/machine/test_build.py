"""Whole builds of the tiny operating system: outputs, phases, failures, interruptions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.machine.conftest import Builder

pytestmark = pytest.mark.machine

PHASES = ("root", "extra-data", "pre-install", "install", "post-install", "post-root", "block-device",
          "pre-finalise", "finalise", "cleanup")


@pytest.mark.contract("C-303", verdict="bettered", note="a tiny image takes under three seconds")
def test_raw_and_qcow2_with_checksums_in_under_three_seconds(builder: Builder) -> None:
    begun = time.monotonic()
    done = builder.run("-t", "raw,qcow2", "--checksum", "tiny-os")
    seconds = time.monotonic() - begun
    assert done.returncode == 0, done.stdout
    assert builder.left() == ["disk.qcow2", "disk.qcow2.md5", "disk.qcow2.sha256", "disk.raw", "disk.raw.md5",
                              "disk.raw.sha256"]
    subprocess.run(["sha256sum", "--check", "disk.raw.sha256", "disk.qcow2.sha256"], cwd=builder.out, check=True)
    subprocess.run(["qemu-img", "compare", "disk.raw", "disk.qcow2"], cwd=builder.out, check=True)
    assert seconds < 3, done.stdout


def test_the_image_holds_one_labelled_filesystem_with_the_tree(builder: Builder, tmp_path: Path) -> None:
    assert builder.run("-t", "raw", "tiny-os").returncode == 0
    raw = builder.out / "disk.raw"
    label = subprocess.run(["blkid", "-o", "value", "-s", "LABEL", raw], capture_output=True, text=True, check=True)
    assert label.stdout.strip() == "cloudimg-rootfs"
    assert subprocess.run(["e2fsck", "-fn", raw], check=False, capture_output=True).returncode == 0
    fstab = subprocess.run(["debugfs", "-R", "cat /etc/fstab", raw], capture_output=True, text=True, check=True)
    assert fstab.stdout.split() == ["LABEL=cloudimg-rootfs", "/", "ext4", "defaults", "0", "1"]


def test_the_tree_alone(builder: Builder) -> None:
    assert builder.run("-t", "tar,tgz,squashfs", "tiny-os").returncode == 0
    assert builder.left() == ["disk.squashfs", "disk.tar", "disk.tgz"]


@pytest.mark.parametrize("mode", ["tree", "device"])
def test_phases_come_in_order_with_their_surroundings(builder: Builder, mode: str) -> None:
    """Each phase's directory, user, variables, mounts and view (contract section 5)."""
    for phase in PHASES:
        builder.script("probe", f"{phase}.d/50-probe", """#!/bin/bash
echo "PROBE {phase} pwd=$PWD user=$(id -u) home=$HOME root=${TARGET_ROOT:+set} device=${IMAGE_BLOCK_DEVICE:+set}" \
"in_target=$([ -d /tmp/in_target.d ] && echo yes || echo no) self=$0"
""".replace("{phase}", phase))
    done = builder.run("-t", "raw", "--assemble", mode, "tiny-os", "probe")
    assert done.returncode == 0, done.stdout
    seen = {}
    for line in done.stdout.splitlines():
        if line.startswith("PROBE "):
            phase, *facts = line.split()[1:]
            seen[phase] = dict(fact.split("=", 1) for fact in facts)
    assert tuple(seen) == PHASES
    inside = {"pre-install", "install", "post-install", "finalise"}
    for phase, facts in seen.items():
        assert facts["pwd"] == ("/" if phase in inside else str(builder.out))
        assert facts["in_target"] == ("yes" if phase in inside else "no")
        assert (facts["home"] == "/root") is (phase in inside)
        assert facts["user"] == "0"
        assert facts["root"] == ("set" if phase in ("root", "cleanup") else "")
        on_disk = mode == "device" and phase in ("pre-finalise", "finalise", "cleanup")
        assert facts["device"] == ("set" if on_disk else "")
        assert facts["self"].endswith(f"/{phase}.d/50-probe")


def test_target_scripts_see_system_mounts_and_a_read_only_hook_tree(builder: Builder) -> None:
    builder.script("probe", "install.d/50-probe", """#!/bin/bash
set -eu
[ -e /proc/1/status ]; [ -c /dev/null ]; [ -d /sys/kernel ]; [ -c /dev/ptmx ]
! touch /tmp/in_target.d/x 2>/dev/null
! mkdir /sys/x 2>/dev/null
[ -x "$(dirname "$0")/50-probe" ]
[ "$(cat "$(dirname "$0")/../files/data")" = payload ]
echo "PATH IS $PATH"
echo "LEAKS ${PYTHONPATH-none} ${TMPDIR-none} ${LD_PRELOAD-none}"
""")
    builder.script("probe", "files/data", "payload\n", mode=0o644)
    done = builder.run("-t", "raw", "tiny-os", "probe", PYTHONPATH=os.getcwd())
    assert done.returncode == 0, done.stdout
    assert "PATH IS /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" in done.stdout
    assert "LEAKS none none none" in done.stdout


def test_resolv_conf_of_the_host_during_the_build_and_the_image_s_own_afterwards(builder: Builder) -> None:
    builder.script("probe", "root.d/50-own", "#!/bin/bash\n"
                   "echo 'nameserver 192.0.2.7' > $TARGET_ROOT/etc/resolv.conf\n")
    builder.script("probe", "install.d/50-look", "#!/bin/bash\necho DURING $(cat /etc/resolv.conf)\n")
    done = builder.run("-t", "raw", "tiny-os", "probe")
    assert done.returncode == 0, done.stdout
    assert "DURING " + " ".join(Path("/etc/resolv.conf").read_text().split()) in done.stdout
    shown = subprocess.run(["debugfs", "-R", "cat /etc/resolv.conf", builder.out / "disk.raw"], text=True,
                           capture_output=True, check=True)
    assert shown.stdout == "nameserver 192.0.2.7\n"


def test_what_scripts_leave_in_tmp_and_logs_stays_out(builder: Builder) -> None:
    builder.script("probe", "install.d/50-litter", "#!/bin/bash\nmkdir '/tmp/a b'\necho x > '/tmp/a b/quote\"d'\n"
                                                   "echo log > /var/log/some.log\necho log > /root/x.log\n")
    done = builder.run("-t", "tar", "tiny-os", "probe")
    assert done.returncode == 0, done.stdout
    listed = subprocess.run(["tar", "-tvf", builder.out / "disk.tar"], capture_output=True, text=True,
                            check=True).stdout
    assert "quote" not in listed
    assert "x.log" not in listed
    assert re.search(r" 0 \S+ \S+ \./var/log/some\.log", listed)


@pytest.mark.contract("C-101")
@pytest.mark.contract("C-282", verdict="bettered", note="ended after their phase, and named")
def test_daemons_are_ended_after_their_phase_and_named(builder: Builder) -> None:
    builder.script("probe", "install.d/50-daemon", "#!/bin/bash\nsleep 1000 &\n")
    begun = time.monotonic()
    done = builder.run("-t", "raw", "tiny-os", "probe")
    assert done.returncode == 0, done.stdout
    assert "phase install left processes running, now ended: " in done.stdout
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.contract("C-027", "C-280")
def test_a_failing_script_ends_the_build_cleanly_in_every_phase(builder: Builder, phase: str) -> None:
    (builder.out / "disk.qcow2").write_text("precious")
    builder.script("fails", f"{phase}.d/60-fails", "#!/bin/bash\nsleep 1000 &\necho about to fail\nexit 42\n")
    done = builder.run("tiny-os", "fails")
    assert done.returncode == (1 if phase == "block-device" else 42), done.stdout
    assert f"{phase}.d/60-fails of element fails failed with exit code" in done.stdout
    assert "about to fail" in done.stdout
    assert "Traceback" not in done.stdout
    assert builder.left() == ["disk.qcow2"]
    assert (builder.out / "disk.qcow2").read_text() == "precious"


@pytest.mark.parametrize("phase", ["root", "install", "finalise"])
@pytest.mark.parametrize("how", ["interrupt of the group", "term of the parent", "kill of the parent",
                                 "kill of the group"])
@pytest.mark.contract("C-283")
@pytest.mark.contract("C-284", "C-285", verdict="bettered", note="Ctrl-C and kill -9 leave nothing either")
def test_an_interrupted_build_leaves_nothing(builder: Builder, phase: str, how: str) -> None:
    builder.script("waits", f"{phase}.d/60-waits", "#!/bin/bash\necho reached\nsleep 1000\n")
    build = builder.start("tiny-os", "waits")
    assert build.stdout is not None
    for line in build.stdout:
        if line.strip() == "reached":
            break
    number = {"interrupt": signal.SIGINT, "term": signal.SIGTERM, "kill": signal.SIGKILL}[how.split()[0]]
    if how.endswith("group"):
        os.killpg(build.pid, number)
    else:
        build.send_signal(number)
    rest = build.communicate(timeout=30)[0]
    assert "Traceback" not in rest
    assert build.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGKILL:
        _wait_for_the_kernel(builder)
        assert builder.run("--version").returncode == 0
        from pydib.host.workspace import sweep  # what the next build does first

        sweep(builder.temporary)
    assert builder.left() == []


@pytest.mark.parametrize("more", [1, 3])
def test_ctrl_c_again_while_the_build_cleans_up_is_safe(builder: Builder, more: int) -> None:
    """The clean-up takes its time: a daemon does not heed the request to end, and there is a tree on the disk."""
    alive = builder.out.parent / "alive"
    os.mkfifo(alive)
    builder.script("waits", "root.d/60-waits", f"""#!/bin/bash
(trap '' INT TERM HUP; while :; do sleep 1; done) &
mkdir -p "$TARGET_ROOT"/srv/{{1..60}}/{{1..60}}
exec 9>{alive}
exec sleep 1000
""")
    build = builder.start("--no-tmpfs", "tiny-os", "waits")
    with alive.open("rb") as script:  # waits until the script opens it, too
        os.killpg(build.pid, signal.SIGINT)
        assert script.read() == b""  # its end: the clean-up has begun
    for _ in range(more):
        os.killpg(build.pid, signal.SIGINT)
    rest = build.communicate(timeout=30)[0]
    assert "Traceback" not in rest
    assert build.returncode == 128 + signal.SIGINT
    assert builder.left() == []


def _wait_for_the_kernel(builder: Builder) -> None:
    deadline = time.monotonic() + 10
    while builder.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)


@pytest.mark.contract("C-026", "C-235")
def test_old_outputs_are_kept_and_can_be_overwritten(builder: Builder) -> None:
    assert builder.run("-t", "raw", "tiny-os").returncode == 0
    assert builder.run("-t", "raw", "--no-cache", "tiny-os").returncode == 0
    names = builder.left()
    assert len(names) == 2
    assert re.fullmatch(r"disk-\d{4}(\.\d\d){2}-\d\d(\.\d\d){2}\.raw", names[0])
    assert builder.run("-t", "raw", "tiny-os", OVERWRITE_OLD_IMAGE="1").returncode == 0
    assert len(builder.left()) == 2


def test_events_as_lines_of_json(builder: Builder) -> None:
    argv = builder.argv("tiny-os")
    command = [argv[0], "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "-t", "raw", "-o",
               str(builder.out / "disk"), "--events", str(builder.out / "events"), "tiny-os"]
    done = subprocess.run(command, env=builder.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (builder.out / "events").read_text().splitlines()]
    assert events[0]["event"] == "BuildStarted"
    assert events[-1]["event"] == "BuildFinished"
    assert {"event": "ScriptStarted", "phase": "root", "script": "root.d/10-tiny-os", "element": "tiny-os"}.items() \
        <= next(event for event in events if event["event"] == "ScriptStarted").items()


@pytest.mark.contract("C-181")
def test_a_logfile_gets_the_log_with_times_and_stdout_stays_quiet(builder: Builder) -> None:
    done = builder.run("-t", "raw", "--logfile", str(builder.out / "log"), "tiny-os")
    assert done.returncode == 0
    assert done.stdout == f"Output logs going to: {builder.out / 'log'}\n"
    lines = (builder.out / "log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| ", line) for line in lines)
    assert any("Build completed successfully" in line for line in lines)


def test_a_phase_may_be_added_by_a_file(builder: Builder) -> None:
    folder = builder.elements.parent / "phases"
    folder.mkdir()
    (folder / "45-check.toml").write_text('name = "check"\nwhere = "target"\n')
    builder.script("probe", "check.d/10-check", "#!/bin/bash\necho CHECKED in $PWD\n")
    command = [*builder.argv()[:1], "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "-t", "raw",
               "-o", str(builder.out / "disk"), "--phases", str(folder), "tiny-os", "probe"]
    done = subprocess.run(command, env=builder.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "CHECKED in /" in done.stdout


def test_environments_are_the_same_from_build_to_build(builder: Builder) -> None:
    """Although the directories' real names differ: TMP_BUILD_DIR and its kin are paths in the build's own root."""
    builder.script("probe", "post-root.d/50-probe", "#!/bin/bash\nenv | sort | sed 's/^/ENV /'\n")
    seen = []
    for temporary in (builder.temporary, builder.temporary / "another"):
        temporary.mkdir(exist_ok=True)
        done = builder.run("-t", "tar", "tiny-os", "probe", TMPDIR=str(temporary), OVERWRITE_OLD_IMAGE="1")
        seen.append([line.replace(str(temporary), "TMPDIR") for line in done.stdout.splitlines()
                     if line.startswith("ENV ")])
    temporary.rmdir()
    assert seen[0] == seen[1]
    assert any(re.fullmatch(r"ENV TMP_BUILD_DIR=/\.pydib/dib_build\.\S{8}", line) for line in seen[0])


def test_a_build_that_is_started_in_the_root_directory_leaves_its_outputs_there(builder: Builder) -> None:
    """As in a container whose working directory is `/`; scripts write beside the output, too (C-110)."""
    name = f"pydib-test-{os.getpid()}"
    builder.script("probe", "cleanup.d/50-beside", '#!/bin/bash\nset -eu\nmkdir "$IMAGE_NAME.d"\n')
    try:
        for given in (name, f"/{name}"):
            argv = [*builder.argv(), "-o", given, "-t", "raw", "tiny-os", "probe"]
            done = subprocess.run(argv, env=builder.environment, capture_output=True, text=True, check=False,
                                  cwd="/")
            assert done.returncode == 0, done.stdout
            assert Path(f"/{name}.raw").is_file()
            Path(f"/{name}.d").rmdir()
            Path(f"/{name}.raw").unlink()
        assert not list(Path("/").glob(".pydib*"))
    finally:
        Path(f"/{name}.raw").unlink(missing_ok=True)
