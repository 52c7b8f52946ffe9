"""The environment of scripts, on the host and in the target."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pydib import environment, paths
from pydib.cli.build import command as build
from pydib.cli.drop_in import make_recipe, parse
from pydib.paths import Layout

LAYOUT = Layout(build_dir=Path("/tmp/dib_build.x"), image_dir=Path("/tmp/dib_image.x"))
ELEMENTS = {"os": Path("/shelf/os"), "vm": Path("/shelf/vm")}


def host(*arguments: str, **caller: str) -> dict[str, str]:
    given, elements = parse([*arguments, "os"])
    recipe = make_recipe(given, elements, {"HOME": "/home/me", "PATH": "/usr/bin:/bin", **caller}, arguments=arguments)
    return environment.for_host(recipe, ELEMENTS, LAYOUT, python="/usr/bin/python3",
                                answers={"DIB_ROOT_LABEL": "cloudimg-rootfs"})


ALWAYS = ("_LIB ARCH IMAGE_NAME IMAGE_TYPE IMAGE_ELEMENT IMAGE_ELEMENT_YAML ELEMENTS_PATH FS_TYPE LC_ALL TMP_BUILD_DIR "
          "TMP_IMAGE_DIR TMP_HOOKS_PATH TMP_MOUNT_PATH OUT_IMAGE_PATH DIB_ARGS DIB_ENV DIB_PYTHON_EXEC DIB_DEBUG_TRACE "
          "DIB_CHECKSUM DIB_NO_TMPFS DIB_MIN_TMPFS DIB_OFFLINE DIB_IMAGE_CACHE DIB_LOCKFILES "
          "DIB_BLOCK_DEVICE_PARAMS_YAML DIB_ROOT_LABEL")


@pytest.mark.parametrize("name", ALWAYS.split())
def test_variables_that_are_always_set(name: str) -> None:
    """Scripts run under `set -u` (C-114)."""
    assert name in host()


@pytest.mark.parametrize(("name", "arguments"), [
    ("SKIP_BASE", ["-n"]), ("DOCKER_TARGET", ["--docker-target", "t"]), ("LOGFILE", ["--logfile", "l"]),
    ("COMPRESS_IMAGE", ["-u"]),
])
def test_variables_that_are_set_only_when_asked_for(name: str, arguments: list[str]) -> None:
    assert name not in host()
    assert name in host(*arguments)


def test_places() -> None:
    env = host()
    assert env["TMP_MOUNT_PATH"] == "/tmp/dib_build.x/mnt"
    assert env["TMP_HOOKS_PATH"] == "/tmp/dib_build.x/hooks"
    assert env["_LIB"] == str(paths.lib_dir())


def test_our_sudo_comes_first_and_system_folders_are_added() -> None:
    entries = host()["PATH"].split(":")
    assert entries[0] == str(paths.tools_dir())
    assert {"/sbin", "/usr/sbin", "/usr/local/sbin"} <= set(entries)


def test_elements_as_list_and_as_yaml() -> None:
    env = host()
    assert env["IMAGE_ELEMENT"] == "os vm"
    assert json.loads(env["IMAGE_ELEMENT_YAML"]) == {"os": "/shelf/os", "vm": "/shelf/vm"}


def in_bash(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], env=host(), text=True, capture_output=True, check=False)


def test_the_function_that_lists_elements() -> None:
    line = 'eval declare -A elements=($(get_image_element_array)); echo "${elements[vm]} ${!elements[@]}"'
    assert in_bash(line).stdout.split()[0] == "/shelf/vm"


def test_die_never_ends_with_success() -> None:
    assert in_bash("die because").returncode == 1
    done = in_bash("(exit 7) || die because of 7")
    assert (done.returncode, done.stdout) == (7, "because of 7\n")


def test_die_as_a_file_of_the_library() -> None:
    assert in_bash('. "$_LIB/die"; if ! false; then die gone; fi').returncode == 1


def test_the_caller_s_dib_variables_are_kept_for_manifests() -> None:
    env = host(DIB_RELEASE="trixie", DIB_QUOTE='a "b" $c')
    assert 'declare -x DIB_RELEASE="trixie"' in env["DIB_ENV"]
    assert 'declare -x DIB_QUOTE="a \\"b\\" \\$c"' in env["DIB_ENV"]


def test_our_own_python_is_no_word_of_the_caller_s() -> None:
    """It lies elsewhere on another machine, and manifests hold DIB_ENV (docs/reproducible.md)."""
    assert "DIB_PYTHON_EXEC" not in host()["DIB_ENV"]
    env = host(DIB_PYTHON_EXEC="/opt/python")
    assert env["DIB_PYTHON_EXEC"] == "/opt/python"
    assert 'declare -x DIB_PYTHON_EXEC="/opt/python"' in env["DIB_ENV"]


@pytest.mark.parametrize("manner", [
    ["--no-cache"], ["--rebuild-from", "install.d/20-x"], ["--max-age=7d"],
])
def test_how_a_build_goes_about_it_is_not_in_its_arguments(manner: list[str]) -> None:
    """So images with manifests are the same with layers and without (docs/reproducible.md)."""
    plain, other = host("-t", "raw", "--no-tmpfs", "vm"), host("-t", "raw", *manner, "--no-tmpfs", "vm")
    assert other["DIB_ARGS"] == plain["DIB_ARGS"] == "-t raw --no-tmpfs vm"
    assert other["DIB_ENV"] == plain["DIB_ENV"]


@pytest.mark.parametrize("words", [
    "build -o disk --image-cache /c -x debian-minimal vm", "-o --no-cache-server -t raw vm", "build --seed x",
])
def test_the_other_arguments_stay_as_they_are(words: str) -> None:
    assert environment.what_is_asked(words.split()) == tuple(words.split())


def test_which_options_of_pydib_build_say_only_how() -> None:
    options = {name for option in build.params for name in option.opts if name.startswith("--")}
    assert {name for name in options if not environment.what_is_asked([name])} == {
        "--cache-from", "--cache-to", "--events", "--max-age", "--no-cache", "--progress", "--rebuild-from",
        "--timeline"}
    words = ["build", "--events", "vm", "--cache-from", "a", "--cache-from=b", "--no-cache", "vm", "--progress"]
    assert environment.what_is_asked(words) == ("build", "vm")


def test_inside_the_target_only_the_target_s_paths_and_no_functions() -> None:
    inside = environment.for_target(host(PYTHONPATH="/x", LD_PRELOAD="/y", TMPDIR="/z", http_proxy="http://p",
                                         VIRTUAL_ENV="/v", MY_OWN="kept"))
    assert inside["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert inside["HOME"] == "/root"
    assert inside["USER"] == inside["LOGNAME"] == "root"
    assert inside["http_proxy"] == "http://p"
    assert inside["MY_OWN"] == "kept"
    for name in ("PYTHONPATH", "LD_PRELOAD", "TMPDIR", "VIRTUAL_ENV", "PS4"):
        assert name not in inside
    assert not [name for name in inside if name.startswith("BASH_FUNC")]
    assert inside["SUDO_USER"] == "root"
