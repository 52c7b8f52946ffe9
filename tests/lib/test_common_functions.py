"""What all scripts share: die, run_d, save_image, and the default values."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.lib.conftest import run_bash

SOURCED = "die common-functions common-defaults img-defaults ramdisk-defaults img-functions ramdisk-functions"


@pytest.mark.contract("C-190")
def test_the_library_passes_shellcheck(lib):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "--shell=bash", *SOURCED.split()], cwd=lib, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.contract("C-190", "C-194", "C-195")
def test_sourcing_defines_functions_and_nothing_else(bash):
    code = ('before=$(compgen -v | sort); for name in common-functions img-functions; do . "$_LIB/$name"; done\n'
            'comm -13 <(echo "$before") <(compgen -v | sort) | grep -vE "^(_|before|name|PIPESTATUS|BASH_.*)$"')
    done = bash("", code)
    assert (done.stdout, done.stderr) == ("DIB_RUN_PARTS\n", "")


@pytest.mark.contract("C-193", "C-194", "C-195")
@pytest.mark.parametrize("name", [
    "die", "mount_dev_pts_options", "mk_build_dir", "run_d", "save_image", "cleanup", "trap_cleanup",
    "select_boot_kernel_initrd", "create_ramdisk_base", "populate_lib", "populate_busybox", "populate_init",
    "populate_udev", "finalise_image", "find_kernel_version", "busybox_list", "copy_required_libs"])
def test_elements_find_the_functions_that_they_call(name, bash):
    assert bash(SOURCED, f"declare -F {name}").stdout == f"{name}\n"


@pytest.mark.contract("C-191", verdict="bettered", note="never ends with success")
@pytest.mark.parametrize("source", ["die", "common-functions"])
@pytest.mark.parametrize(("code", "status"), [
    ("if [ ! -e /nonexistent ]; then die no file; fi", 1), ("(exit 42) || die no file", 42)])
def test_die_never_ends_with_success(source, code, status, bash):
    done = bash(source, code + "\necho alive")
    assert (done.returncode, done.stdout) == (status, "no file\n")


@pytest.mark.contract("C-194")
def test_options_of_dev_pts_are_those_of_this_system(lib, oracle_lib):
    answers = [run_bash(each, "common-functions", "mount_dev_pts_options").stdout.strip() for each in (oracle_lib, lib)]
    if not answers[0]:
        pytest.skip("no /dev/pts is mounted here")
    assert answers[0] == answers[1]
    assert answers[1].startswith("-o rw")


@pytest.mark.contract("C-190")
@pytest.mark.parametrize("given", [
    {}, {"ARCH": "s390x", "DIB_OFFLINE": "1", "PATH": "/usr/bin:/bin:/sbin"},
    {"DIB_MODULE_ROOT": "/m", "DIB_LIB_UDEV_ROOT": "/u", "IMAGE_NAME": "x/y", "FS_TYPE": "xfs", "DIB_CHECKSUM": "md5"}])
def test_defaults_are_those_of_dib_and_what_was_given_stays(given, lib, oracle_lib):
    names = ("ARCH", "DIB_CHECKSUM", "DIB_MIN_TMPFS", "DIB_NO_TMPFS", "DIB_OFFLINE", "FS_TYPE", "IMAGE_NAME",
             "IMAGE_TYPE", "RAMDISK_ELEMENT", "PATH")
    code = f"env | grep -E '^({'|'.join(names)})=' | sort; echo \"$MODULE_ROOT,$LIB_UDEV_ROOT\""
    env = {"ELEMENTS_PATH": "/e", "_BASE_ELEMENT_DIR": "/e", **given}  # the second is private to DIB
    theirs, ours = (run_bash(each, "common-defaults img-defaults ramdisk-defaults", code, env)
                    for each in (oracle_lib, lib))
    assert ours.stdout == theirs.stdout
    assert ours.returncode == 0


def script(folder, name, text, mode=0o755):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.contract("C-083", "C-084", "C-085", "C-086", "C-099", "C-195")
def test_run_d_runs_what_may_run_in_order(tmp_path, bash):
    hooks = tmp_path / "ramdisk-install.d"
    for name in ("100-last", "9-first", "10-second", "plain"):
        script(hooks, name, "#!/bin/bash\nbasename $0\n")
    script(hooks, "11-quiet", "echo not executable\n", 0o644)
    script(hooks, "12-x.sh", "#!/bin/bash\necho the name has a dot\n")
    script(hooks, "50-no-interpreter", "words=(a b); echo ${#words[@]} $TMP_MOUNT_PATH\n")
    script(hooks, "60-dir/file", "")
    done = bash("common-functions", "run_d ramdisk-install",
                env={"TMP_HOOKS_PATH": str(tmp_path), "TMP_MOUNT_PATH": "/tree"})
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Running")]
    assert (done.returncode, lines) == (0, ["plain", "9-first", "10-second", "2 /tree", "100-last"])
    assert done.stdout.startswith(f"Running hooks from {hooks}\n")


@pytest.mark.contract("C-099", "C-195")
def test_run_d_ends_with_the_first_failure(tmp_path, bash):
    script(tmp_path / "x.d", "1-bad", "#!/bin/bash\nexit 42\n")
    script(tmp_path / "x.d", "2-never", "#!/bin/bash\necho never\n")
    done = bash("common-functions", "run_d x; echo alive", env={"TMP_HOOKS_PATH": str(tmp_path)})
    assert done.returncode == 42
    assert "never" not in done.stdout
    assert "alive" not in done.stdout


@pytest.mark.contract("C-105")
def test_run_d_without_a_directory_does_nothing(tmp_path, bash):
    done = bash("common-functions", "run_d nothing; echo alive", env={"TMP_HOOKS_PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "alive\n")


@pytest.mark.contract("C-235")
@pytest.mark.parametrize(("name", "kept"), [("disk.raw", r"disk-[\d.]+-[\d.]+\.raw"),
                                            ("ramdisk", r"ramdisk-[\d.]+-[\d.]+")])
def test_an_old_image_is_kept_when_a_new_one_is_saved(name, kept, tmp_path, bash):
    (tmp_path / name).write_text("old")
    (tmp_path / "made").write_text("new")
    code = f'save_image "{tmp_path}/{name}"'
    done = bash("common-functions", code, env={"TMP_IMAGE_PATH": str(tmp_path / "made")})
    assert done.stdout == f"Image file {tmp_path / name} created...\n"
    assert (tmp_path / name).read_text() == "new"
    other, = (path for path in tmp_path.iterdir() if path.name != name)
    assert re.fullmatch(kept, other.name)
    assert other.read_text() == "old"


def test_an_old_image_goes_when_that_is_wished(tmp_path, bash):
    (tmp_path / "disk").write_text("old")
    (tmp_path / "made").write_text("new")
    bash("common-functions", f'save_image "{tmp_path}/disk"',
         env={"TMP_IMAGE_PATH": str(tmp_path / "made"), "OVERWRITE_OLD_IMAGE": "1"})
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]
