"""Habits of elements in the wild (contract sections 3, 4, 5 and 12), each as a small element of ours in fixtures/.

Most of them build together, once; the tests then look at the image, at what scripts told, and at the host.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machine.conftest import Builder, left_in_the_kernel

pytestmark = pytest.mark.machine

HABITS = ("habit-tree habit-names habit-interpreters  habit-environment habit-scratch habit-outputs habit-devices "
          "habit-sudo")
PHASES = ("root", "extra-data", "pre-install", "install", "post-install", "post-root", "block-device",
          "pre-finalise", "finalise", "cleanup")
INSIDE = ("pre-install", "install", "post-install", "finalise")

INSTALL_PACKAGES = """#!/bin/bash
cat >/usr/local/bin/install-packages <<'END'
#!/bin/bash
echo "PACKAGES $# $* distro=${DISTRO_NAME-none} tree=$([ -e /tmp/in_target.d ] && echo yes || echo no) in $PWD"
END
chmod 0755 /usr/local/bin/install-packages
"""
LITTER = r"""#!/bin/bash
set -eu
[ -d /tmp/in_target.d ]  # in the image, nowhere else
mkdir -p "/tmp/a b/c'd" /tmp/mounted /var/log/deep /root/deep /srv/outside
touch "/tmp/a b/c'd/e\"f" /tmp/.hidden $'/tmp/new\nline'
mount -t tmpfs tmpfs /tmp/mounted
echo text > /var/log/deep/x
echo text > /root/deep/y.log
echo text > /root/deep/kept.txt
echo text > /srv/outside/kept
ln -s /srv/outside /var/log/link
"""


@dataclass(frozen=True)
class Image:
    """A finished build: its log, and the image's tree."""

    builder: Builder
    log: str
    cache: Path
    records: Path

    def names(self) -> set[str]:
        with tarfile.open(self.builder.out / "disk.tar") as archive:
            return {name.removeprefix("./") for name in archive.getnames()}

    def member(self, path: str) -> tarfile.TarInfo:
        with tarfile.open(self.builder.out / "disk.tar") as archive:
            return archive.getmember(f"./{path}")

    def read(self, path: str) -> str:
        with tarfile.open(self.builder.out / "disk.tar") as archive:
            stream = archive.extractfile(f"./{path}")
            assert stream is not None
            return stream.read().decode()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, fixtures: Path) -> Image:
    """All habits in one image, called in a folder of the caller's, with a name relative to it."""
    folder = tmp_path_factory.mktemp("habits")
    builder, records, cache = Builder(folder, fixtures), folder / "records", folder / "cache"
    records.mkdir()
    builder.script("packages", "pre-install.d/10-tool", INSTALL_PACKAGES)
    builder.script("litter", "finalise.d/60-litter", LITTER)
    builder.script("litter", "block-device-size.d/60-never", "#!/bin/bash\necho NEVER RUN\nexit 1\n")
    done = builder.run("", "-t", "tar,raw", "-o", "disk", "--image-cache", str(cache), "", f" tiny-os  {HABITS} ",
                       "packages litter", "-p", "a,b", "-p", "c $(echo d)", "-p", "", "",
                       HABIT_RECORD=str(records), HABIT_APPEND="first", HABIT_SUDO="seen",
                       EXTRA_UNMOUNT="echo UNMOUNT now", EXTRA_DETACH="echo DETACH now")
    assert done.returncode == 0, done.stdout
    assert left_in_the_kernel(folder) == []
    assert list(builder.temporary.iterdir()) == []
    return Image(builder, done.stdout, cache, records)


# --- the hook tree ------------------------------------------------------------------------------------------------


@pytest.mark.contract("C-071", "C-310", "C-311", "C-312")
def test_data_is_found_beside_the_script_and_in_folders_of_any_name(image: Image) -> None:
    assert image.read("srv/habit/tree/from-other") == "from the other element\n"
    assert image.read("srv/habit/tree/habit-tree.conf") == "data beside scripts\n"
    assert image.read("srv/habit/tree/data/deep/file") == "a folder beside scripts\n"


@pytest.mark.contract("C-071", "C-075", "C-312")
def test_several_elements_fill_one_folder_and_deep_clashes_merge(image: Image) -> None:
    assert image.read("srv/habit/tree/all.conf") == "one\nsame\ntwo\n"


@pytest.mark.contract("C-070", "C-072", "C-078")
def test_what_is_in_the_hook_tree(image: Image) -> None:
    names = {name.removeprefix("./") for name in image.read("srv/habit/tree/listing").splitlines()}
    assert {name for name in names if name.startswith((".habit", "habit-files", "habit-alias", "habit-config",
                                                       "habit-filelink", "habit-dangling", "test"))} == {
        ".habit-dot", ".habit-dot/file", ".habit-dotfile", "habit-filelink", "test-elements/habit-kept",
        "habit-files", "habit-files/deep", "habit-files/deep/.hidden-deep", "habit-files/a name with blanks",
        "habit-files/from-other", "habit-files/linked-script",
        "habit-alias", "habit-alias/deep", "habit-alias/deep/.hidden-deep", "habit-alias/a name with blanks",
        "habit-config", "habit-config/etc", "habit-config/etc/one.conf", "habit-config/etc/two.conf",
        "habit-config/etc/same.conf"}


@pytest.mark.contract("C-077", verdict="bettered", note="names with blanks are copied; DIB breaks on them")
def test_names_with_blanks_are_copied(image: Image) -> None:
    assert "./habit-files/a name with blanks" in image.read("srv/habit/tree/listing").splitlines()


@pytest.mark.contract("C-073", "C-083", "C-096")
def test_a_relative_link_leads_to_another_element_s_file(image: Image) -> None:
    assert image.read("srv/habit/tree/linked") == "/tmp/in_target.d/install.d/35-habit-linked\n"


@pytest.mark.contract("C-084", "C-086", "C-083")
def test_what_must_not_run(image: Image) -> None:
    assert "srv/habit/tree/never" not in image.names()


@pytest.mark.contract("C-152")
def test_folders_that_are_no_phase_never_run(image: Image) -> None:
    assert "NEVER RUN" not in image.log


@pytest.mark.contract("C-080")
def test_host_scripts_add_scripts_environment_and_data(image: Image) -> None:
    assert image.read("srv/habit/tree/made-later") == "from an environment file made by a script\n"
    assert image.read("srv/habit/tree/payload") == "payload of the host\n"


@pytest.mark.contract("C-310", "C-265")
def test_a_script_of_an_install_type_is_called_through_its_link(image: Image) -> None:
    assert image.read("srv/habit/tree/by-type").splitlines() \
        == ["from the other element", "/tmp/in_target.d/install.d/74-habit-source"]


@pytest.mark.contract("C-074", "C-079")
@pytest.mark.parametrize("folder", ["install.d", "environment.d", "bin", "nobody-uses-this"])
def test_the_same_file_from_two_elements_ends_the_build(builder: Builder, folder: str) -> None:
    for element in ("one", "two"):
        builder.script(element, f"{folder}/50-same", "#!/bin/bash\n")
    done = builder.run("tiny-os", "one", "two")
    assert done.returncode == 1
    assert "duplicated hook" in done.stdout
    assert builder.left() == []


# --- running scripts ----------------------------------------------------------------------------------------------


@pytest.mark.contract("C-083", "C-084", "C-085", "C-086")
def test_the_order_of_scripts_with_odd_names(image: Image) -> None:
    assert image.read("srv/habit/order").split() == [
        "-5neg", "00-zero", "ABC", "_u", "abc", "1e3x", "9-nine", "9a", "010-octal", "10-ten", "10_x", "27-link",
        "050-c", "50-B", "50-a", "100-hundred"]


@pytest.mark.contract("C-102")
def test_the_table_of_times_is_in_byte_order(image: Image) -> None:
    table = image.log.split("Target: post-install.d", 1)[1].split("END PROFILING", 1)[0]
    rows = re.findall(r"^dib-run-parts (\S+) +\d+\.\d{3}$", table, re.MULTILINE)
    assert rows == sorted(rows)
    assert {"10-ten", "100-hundred", "10_x"} <= set(rows)


@pytest.mark.contract("C-084")
def test_the_caller_s_pattern_of_names(builder: Builder) -> None:
    for name in ("10-tiny.sh", "20-tiny"):
        builder.script("named", f"root.d/{name}",
                       f"#!/bin/bash\necho RAN {name}\nmkdir -p $TARGET_ROOT/{{etc,sys,proc,dev}}\n")
    builder.script("named", "element-provides", "operating-system\n", mode=0o644)
    done = builder.run("-t", "raw", "named", RUN_PARTS_REGEX=r"\.sh$")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^RAN (.*)$", done.stdout, re.MULTILINE) == ["10-tiny.sh"]


@pytest.mark.contract("C-097", "C-098")
def test_interpreters(image: Image) -> None:
    assert image.read("srv/habit/no-interpreter").startswith("two words ")
    assert "e" not in image.read("srv/habit/no-interpreter").split()[2], "the engine's own shell options leaked"
    assert image.read("srv/habit/sh") == "with -e\n"
    assert image.read("srv/habit/python") == "disk\n"


@pytest.mark.contract("C-098")
@pytest.mark.parametrize(("text", "mode", "code"), [
    ("#!/no/such/interpreter\n", 0o755, 127), ("#!/bin/bash\r\necho\r\n", 0o755, 127), ("#!/etc\n", 0o755, 126),
])
def test_a_script_that_cannot_start_ends_the_build(builder: Builder, text: str, mode: int, code: int) -> None:
    builder.script("odd", "root.d/60-odd", text, mode=mode)
    done = builder.run("tiny-os", "odd")
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.contract("C-027", "C-099")
@pytest.mark.parametrize(("end", "code"), [("exit 42", 42), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_first_failing_script_ends_the_build_with_its_code(builder: Builder, end: str, code: int) -> None:
    builder.script("fails", "install.d/60-fails", f"#!/bin/bash\n{end}\n")
    builder.script("fails", "install.d/61-never", "#!/bin/bash\necho NEVER\n")
    done = builder.run("tiny-os", "fails")
    assert done.returncode == code, done.stdout
    assert "NEVER" not in done.stdout
    assert "Target: install.d" not in done.stdout


# --- environment.d ------------------------------------------------------------------------------------------------


def environment(image: Image, phase: str) -> dict[str, str]:
    """What habit-environment told in that phase."""
    text = (image.read(f"srv/habit/environment/{phase}") if phase in INSIDE
            else (image.records / "environment" / phase).read_text())
    unquoted = subprocess.run(["bash", "-c", 'while IFS= read -r line; do eval "value=${line#*=}"; '
                               'printf "%s=%s\\0" "${line%%=*}" "$value"; done'], input=text, text=True,
                              capture_output=True, check=True).stdout
    return dict(record.split("=", 1) for record in unquoted.split("\0")[:-1])


@pytest.mark.contract("C-087", "C-088", "C-089", "C-090", "C-091", "C-093", "C-095", "C-122", "C-313")
@pytest.mark.parametrize("phase", PHASES)
def test_environment_files_of_every_style_in_every_phase(image: Image, phase: str) -> None:
    assert environment(image, phase) == {
        "HABIT_APPEND": "first word",
        "HABIT_ORDER": "9 after 10: yes, from 10",
        "HABIT_DISTRO": "tiny 1",
        "HABIT_LINES": "one\n  'two' \"three\" $four",
        "HABIT_PLACE": "target tiny /" if phase in INSIDE else "host",
        "HABIT_RETURNED": "yes",
        "HABIT_SKIPPED": "unset",
        "FS_TYPE": "habitfs",
        "function": "function called of yes",
    }


@pytest.mark.contract("C-122")
def test_what_environment_files_say_does_not_reach_the_engine(image: Image) -> None:
    told = subprocess.run(["blkid", "-o", "value", "-s", "TYPE", image.builder.out / "disk.raw"],
                          capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "ext4"


@pytest.mark.contract("C-313", "C-091")
def test_a_validating_environment_file_ends_the_build_with_its_code(builder: Builder, tmp_path: Path) -> None:
    done = builder.run("tiny-os", "habit-environment", HABIT_MUST_BE_EMPTY="x", HABIT_RECORD=str(tmp_path))
    assert done.returncode == 3
    assert "HABIT_MUST_BE_EMPTY must be empty" in done.stdout
    assert builder.left() == []


@pytest.mark.contract("C-091")
@pytest.mark.parametrize(("text", "code"), [
    ('[[ -n "${NO_SUCH:-}" ]] && export X=1\n', 1), ('export X=$NO_SUCH\n', 1), (': "${NO_SUCH:?is needed}"\n', 1),
    ("false | true\n", 1), ("exit 7\n", 7), ("if\n", None),
])
def test_a_failing_environment_file_ends_the_build(builder: Builder, text: str, code: int | None) -> None:
    builder.script("fails", "environment.d/50-fails", text, mode=0o644)
    done = builder.run("tiny-os", "fails")
    assert done.returncode == code if code else done.returncode != 0, done.stdout
    assert "environment.d/50-fails" in done.stdout
    assert builder.left() == []


@pytest.mark.contract("C-091", "C-093")
def test_exit_0_skips_a_phase_and_set_plus_e_forgives_scripts(builder: Builder) -> None:
    builder.script("odd", "environment.d/50-odd", 'case "$HABIT_ODD-$(pwd)" in exit-/) exit 0 ;; '
                                                  'forgive-*) set +e; cd /tmp ;; esac\n', mode=0o644)
    builder.script("odd", "install.d/50-odd", "#!/bin/bash\necho RAN in $PWD\nfalse\n")
    builder.script("odd", "install.d/51-odd", "#!/bin/bash\necho AFTER\n")
    skipped = builder.run("-t", "raw", "tiny-os", "odd", HABIT_ODD="exit")
    assert skipped.returncode == 0, skipped.stdout
    assert "RAN" not in skipped.stdout
    forgiven = builder.run("-t", "raw", "tiny-os", "odd", HABIT_ODD="forgive")
    assert forgiven.returncode == 0, forgiven.stdout
    assert "RAN in /tmp\n" in forgiven.stdout
    assert "AFTER" in forgiven.stdout


# --- mounts, scratch files, outputs -------------------------------------------------------------------------------


@pytest.mark.contract("C-317", "C-130", "C-150", "C-286")
def test_a_cache_mounted_into_the_target_keeps_its_files_and_the_image_gets_none(image: Image) -> None:
    assert sorted(path.name for path in (image.cache / "habit").iterdir()) \
        == ["from-finalise", "from-install", "from-root"]
    assert "var/cache/habit" in image.names()
    assert not any(name.startswith("var/cache/habit/") for name in image.names())


@pytest.mark.contract("C-317", "C-280", "C-286")
@pytest.mark.parametrize("phase", ["post-root", "finalise"])
def test_a_failing_build_never_deletes_what_was_mounted(builder: Builder, phase: str, tmp_path: Path) -> None:
    builder.script("fails", f"{phase}.d/90-fails", "#!/bin/bash\nexit 5\n")
    done = builder.run("--image-cache", str(tmp_path / "cache"), "tiny-os", "habit-scratch", "fails")
    assert done.returncode == 5, done.stdout
    assert {path.name for path in (tmp_path / "cache" / "habit").iterdir()} >= {"from-root", "from-install"}


@pytest.mark.contract("C-142", "C-020")
def test_packages_of_the_command_line(image: Image) -> None:
    assert "PACKAGES 4 a b c d distro=none tree=no in /" in image.log.splitlines()


@pytest.mark.contract("C-162", verdict="bettered", note="names with blanks and quotes in /tmp go too")
def test_tmp_and_logs(image: Image) -> None:
    assert not any(name.startswith("tmp/") for name in image.names())
    assert image.read("var/log/deep/x") == ""
    assert "root/deep/y.log" not in image.names()
    assert image.read("root/deep/kept.txt") == image.read("srv/outside/kept") == "text\n"


@pytest.mark.contract("C-026", "C-150")
def test_extra_commands_at_unmount(image: Image) -> None:
    assert {"UNMOUNT now", "DETACH now"} <= set(image.log.splitlines())


@pytest.mark.contract("C-011", "C-326")
def test_arguments_as_octavia_quotes_them(image: Image) -> None:
    told = re.search(r"^Building elements: (.*)$", image.log, re.MULTILINE)
    assert told is not None
    assert told[1].split() == ["tiny-os", *HABITS.split(), "packages", "litter"]


@pytest.mark.contract("C-143")
def test_what_was_written_into_a_forgotten_mount_is_lost(image: Image) -> None:
    assert "srv/habit-forgotten" in image.names()
    assert "srv/habit-forgotten/lost" not in image.names()


@pytest.mark.contract("C-141", "C-160", "C-315", "C-316")
def test_scratch_files_in_the_build_s_folders_and_tmp_as_the_way_between(image: Image) -> None:
    assert (image.builder.out / "disk.habit-scratch").read_text().split() \
        == ["scratch", "image", "outside", "inside", "finalise"]
    assert not any(name.startswith("tmp/") for name in image.names())


@pytest.mark.contract("C-238", "C-314", "C-326", "C-110")
def test_outputs_of_elements_lie_beside_the_image(image: Image) -> None:
    out = image.builder.out
    assert sorted(path.name for path in out.iterdir()) \
        == ["disk.d", "disk.habit-scratch", "disk.kernel", "disk.raw", "disk.tar"]
    assert (out / "disk.d/name").read_text() == f"{out / 'disk'}\n"
    assert (out / "disk.d/found").read_text() == "./etc/os-release\n"


@pytest.mark.contract("C-117", "C-321", "C-322", "C-323")
def test_the_disk_is_reached_from_inside(image: Image) -> None:
    assert image.read("srv/habit/devices").splitlines() == [
        "bytes 512", "nodes image0", "label cloudimg-rootfs type ext4 boot none", "mounts 1 /"]


@pytest.mark.contract("C-324", "C-200")
def test_sudo_outside(image: Image) -> None:
    assert image.read("srv/habit/sudo").splitlines() == [
        "plain seen none", "kept seen", "assigned given", "user nobody", "pipe through"]
    assert (image.member("srv/habit/dd").uid, image.member("srv/habit/dd").gid) == (1234, 2345)


@pytest.mark.contract("C-198", "C-199", "C-120")
def test_functions_and_tools_of_host_scripts(image: Image) -> None:
    assert image.read("srv/habit/elements").startswith("habit-sudo\n")
    assert image.read("srv/habit/tool") == "called as TREE/bin/habit-tool\n"


@pytest.mark.contract("C-191", verdict="bettered", note="`die` after a successful command ends with 1, not with 0")
def test_die_is_a_failure(image: Image) -> None:
    assert image.read("srv/habit/die") == "a message\n"


# --- the target around its scripts --------------------------------------------------------------------------------

BARE_ROOT = "#!/bin/bash\nset -eu\nmkdir -p $TARGET_ROOT/{dev,proc,sys,etc}\nchmod 0711 $TARGET_ROOT\n" \
            "echo x > $TARGET_ROOT/.autorelabel\n"


def bare(builder: Builder) -> str:
    """An operating system of empty folders: no shell, no /tmp, no /var/log, no /root."""
    builder.script("bare", "root.d/10-bare", BARE_ROOT)
    builder.script("bare", "element-provides", "operating-system\n", mode=0o644)
    return "bare"


def debugfs(image: Path, request: str) -> str:
    """What debugfs(8) answers."""
    return subprocess.run(["debugfs", "-R", request, image], capture_output=True, text=True, check=True).stdout


@pytest.mark.contract("C-105", "C-104")
@pytest.mark.contract("C-163", "C-094", "C-155", verdict="bettered",
                      note="no /var/log, /root or /tmp is needed; environment.d may hold nothing valid; hidden names "
                           "and the mode of / reach the image")
def test_a_target_without_a_shell(builder: Builder) -> None:
    builder.script("invalid", "environment.d/50-x~", "exit 1\n", mode=0o644)
    done = builder.run("-t", "raw", bare(builder), "invalid")
    assert done.returncode == 0, done.stdout
    raw = builder.out / "disk.raw"
    assert re.search(r"Mode: +0711 ", debugfs(raw, "stat /"))
    assert debugfs(raw, "cat /.autorelabel") == "x\n"


@pytest.mark.contract("C-131")
@pytest.mark.parametrize("left", ["", "mkdir $TARGET_ROOT/lost+found $TARGET_ROOT/tmp $TARGET_ROOT/vartmp\n"])
def test_an_empty_target_is_an_error(builder: Builder, left: str) -> None:
    builder.script("empty", "root.d/10-empty", "#!/bin/bash\n" + left)
    builder.script("empty", "element-provides", "operating-system\n", mode=0o644)
    done = builder.run("empty")
    assert done.returncode == 1
    assert "Failed to deploy the root element" in done.stdout


@pytest.mark.contract("C-140")
def test_in_target_d_must_not_exist(builder: Builder) -> None:
    builder.script("taken", "extra-data.d/10-taken", "#!/bin/bash\nmkdir $TMP_MOUNT_PATH/tmp/in_target.d\n")
    builder.script("taken", "install.d/10-x", "#!/bin/bash\n")
    done = builder.run("tiny-os", "taken")
    assert done.returncode == 1
    assert "in_target.d" in done.stdout


@pytest.mark.contract("C-161", "C-320")
@pytest.mark.parametrize(("phase", "line", "left"), [
    ("install", "echo 'nameserver 192.0.2.8' > /etc/resolv.conf.ORIG", "nameserver 192.0.2.8\n"),
    ("install", "rm /etc/resolv.conf.ORIG", None),
    ("finalise", "ln -sf ../run/x/resolv.conf /etc/resolv.conf", "-> ../run/x/resolv.conf"),
    ("cleanup", 'rm -f "$TARGET_ROOT/etc/resolv.conf"; mv "$TARGET_ROOT/etc/resolv.conf.ORIG" "$TARGET_ROOT/etc/x";'
                ' ln -s x "$TARGET_ROOT/etc/resolv.conf"', "-> x"),
])
def test_resolv_conf_in_the_hands_of_elements(builder: Builder, phase: str, line: str, left: str | None) -> None:
    builder.script("resolver", "root.d/50-own",
                   '#!/bin/bash\necho "nameserver 192.0.2.7" > "$TARGET_ROOT/etc/resolv.conf"\n')
    builder.script("resolver", f"{phase}.d/60-change", f"#!/bin/bash\nset -eu\n{line}\n")
    done = builder.run("-t", "tar", "tiny-os", "resolver")
    assert done.returncode == 0, done.stdout
    image = Image(builder, done.stdout, builder.out, builder.out)
    assert "etc/resolv.conf.ORIG" not in image.names()
    if left is None:
        assert "etc/resolv.conf" not in image.names()
    elif left.startswith("-> "):
        assert image.member("etc/resolv.conf").linkname == left[3:]
    else:
        assert image.read("etc/resolv.conf") == left
