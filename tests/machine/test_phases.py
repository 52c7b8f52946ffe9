"""What a script finds around it in each of the ten phases (contract sections 4 and 5).

The element habit-probe records it; the builds here are made once, and the tests read the records. The same records made
by real DIB differ only where these tests say `bettered`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machine.conftest import Builder, left_in_the_kernel

pytestmark = pytest.mark.machine

PHASES = ("root", "extra-data", "pre-install", "install", "post-install", "post-root", "block-device",
          "pre-finalise", "finalise", "cleanup")
INSIDE = ("pre-install", "install", "post-install", "finalise")
ON_DISK = ("pre-finalise", "finalise", "cleanup")
OUTSIDE = tuple(phase for phase in PHASES if phase not in INSIDE)
SECRET = "a 'quoted'\n\ttwo-line \"value\" with $HOME and \\"
UMASK = 0o027

every = pytest.mark.parametrize("phase", PHASES)
outside = pytest.mark.parametrize("phase", OUTSIDE)
inside = pytest.mark.parametrize("phase", INSIDE)


@dataclass(frozen=True)
class Surroundings:
    """What the probe wrote down in one phase."""

    facts: dict[str, str]
    env: dict[str, str]
    mounts: tuple[tuple[str, str, str], ...]
    descriptors: str


@dataclass(frozen=True)
class Probed:
    """One build with the probe."""

    builder: Builder
    done: subprocess.CompletedProcess[str]
    records: Path
    mode: str

    def __getitem__(self, phase: str) -> Surroundings:
        folder = self.records / phase
        lines = (folder / "facts").read_text().splitlines()
        env = (folder / "environ").read_text().rstrip("\0").split("\0")
        return Surroundings(facts=_pairs(lines), env=_pairs(env), mounts=tuple(_mounts(folder / "mountinfo")),
                            descriptors=(folder / "descriptors").read_text().strip())


def _pairs(lines: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _mounts(path: Path) -> Iterator[tuple[str, str, str]]:
    """Mount point, options and type of each mount."""
    for line in path.read_text().splitlines():
        before, _, after = line.partition(" - ")
        yield before.split()[4], before.split()[5], after.split()[0]


def _probe(folder: Path, fixtures: Path, mode: str, *arguments: str, **environment: str) -> Probed:
    builder = Builder(folder, fixtures)
    records = folder / "records"
    records.mkdir()
    (builder.out / "sub.d").mkdir()  # DIB does not make the output's folder either (C-014)
    before = os.umask(UMASK)
    try:
        done = builder.run(*arguments, "tiny-os", "habit-probe", HABIT_RECORD=str(records), DIB_ASSEMBLE=mode,
                           **environment)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stdout
    assert left_in_the_kernel(folder) == []
    return Probed(builder, done, records, mode)


@pytest.fixture(scope="module", params=["device", "tree"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fixtures: Path) -> Probed:
    """A build with an environment that is to reach scripts, and one that is not; in both modes of assembly."""
    return _probe(tmp_path_factory.mktemp("plain"), fixtures, request.param, "-t", "raw", "-o", "sub.d/disk",
                  HABIT_SECRET=SECRET, http_proxy="http://192.0.2.9:3128", DIB_BLOCK_DEVICE="gpt", DIB_HABIT="x y",
                  PYTHONPATH=os.getcwd(), LD_LIBRARY_PATH="/nowhere", PERL5LIB="/nowhere", RUBYLIB="/nowhere",
                  VIRTUAL_ENV="/nowhere", PYTHONHOME="", MKFS_OPTS="-m 1")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, fixtures: Path) -> Probed:
    """A build with the options that show in the environment."""
    folder = tmp_path_factory.mktemp("full")
    return _probe(folder, fixtures, "device", "-t", "raw", "-u", "--image-size", "0.1", "--offline", "--checksum",
                  "--no-tmpfs", "--min-tmpfs", "3", "--docker-target", "x:1", "--logfile", str(folder / "log"), "-x",
                  "--install-type", "package", "--max-online-resize", "2G", "--root-label", "habit")


def relative(probed: Probed, phase: str) -> list[tuple[str, str, str]]:
    """Mounts at and below the target's root, as paths in it; without the build directory's own tmpfs."""
    mounts = probed[phase].mounts
    if phase in INSIDE:
        return list(mounts)
    top = probed[phase].env["TMP_BUILD_DIR"] + "/mnt"
    return [(place.removeprefix(top) or "/", options, kind) for place, options, kind in mounts
            if place == top or place.startswith(top + "/")]


# --- the script itself --------------------------------------------------------------------------------------------


@pytest.mark.contract("C-096", "C-073", "C-083", "C-310")
@every
def test_name_and_arguments(plain: Probed, phase: str) -> None:
    tree = "/tmp/in_target.d" if phase in INSIDE else plain[phase].env["TMP_HOOKS_PATH"]
    assert plain[phase].facts["self"] == f"{tree}/{phase}.d/50-habit-probe"
    assert plain[phase].facts["arguments"] == "0"


@pytest.mark.contract("C-110", "C-111")
@pytest.mark.contract("C-100", verdict="bettered", note="the umask is 0022: an image does not depend on the caller's")
@every
def test_user_directory_and_stdin(plain: Probed, phase: str) -> None:
    facts = plain[phase].facts
    assert facts["user"] == "0"
    assert facts["pwd"] == facts["really"] == ("/" if phase in INSIDE else str(plain.builder.out))
    assert int(facts["umask"], 8) == 0o022, "an image does not depend on the caller's umask"
    assert facts["input"] == "null"


@pytest.mark.contract("C-100", verdict="bettered", note="scripts outside get no stray descriptors either")
@every
def test_no_stray_descriptors(plain: Probed, phase: str) -> None:
    assert plain[phase].descriptors == "0 1 2 255"  # 255 is bash's own, for the script's text


@pytest.mark.contract("C-100")
def test_stdin_is_the_engine_s(builder: Builder) -> None:
    builder.script("reads", "root.d/60-reads", "#!/bin/bash\nread -r line\necho \"FIRST $line\"\n")
    builder.script("reads", "install.d/60-reads", "#!/bin/bash\nread -r line\necho \"THEN $line\"\n")
    (builder.out / "input").write_text("one\ntwo\n")
    with (builder.out / "input").open() as stream:
        done = subprocess.run(builder.argv("-t", "raw", "tiny-os", "reads"), env=builder.environment, stdin=stream,
                              capture_output=True, text=True, check=False, cwd=builder.out)
    assert done.returncode == 0, done.stdout
    assert "FIRST one" in done.stdout
    assert "THEN two" in done.stdout


@pytest.mark.contract("C-120", "C-112")
@every
def test_exported_functions_outside_only(plain: Probed, phase: str) -> None:
    expected = [] if phase in INSIDE else ["_ps4", "die", "get_image_element_array"]
    assert plain[phase].facts["functions"].split() == expected
    assert ("PS4" in plain[phase].env) is (phase not in INSIDE)  # its value bash does not take over as root: bash(1)


# --- environment --------------------------------------------------------------------------------------------------


@pytest.mark.contract("C-114")
@every
def test_variables_that_are_always_there(plain: Probed, phase: str) -> None:
    env = plain[phase].env
    build, image = env["TMP_BUILD_DIR"], env["TMP_IMAGE_DIR"]
    expected = {
        "IMAGE_NAME": "sub.d/disk", "IMAGE_TYPE": "qcow2", "FS_TYPE": "ext4", "LC_ALL": "C", "OUT_IMAGE_PATH": "",
        "TMP_HOOKS_PATH": f"{build}/hooks", "TMP_MOUNT_PATH": f"{build}/mnt", "DIB_DEBUG_TRACE": "0",
        "DIB_CHECKSUM": "0", "DIB_NO_TMPFS": "0", "DIB_MIN_TMPFS": "2", "DIB_OFFLINE": "", "SKIP_BASE": "1",
        "DIB_BLOCK_DEVICE_PARAMS_YAML": f"{build}/block-device/params.yaml", "DIB_ROOT_LABEL": "cloudimg-rootfs",
        "DIB_ROOT_FSTYPE": "ext4", "DIB_BOOT_LABEL": "", "DIB_MOUNTPOINTS": "/",
        "DIB_IMAGE_CACHE": f"{plain.builder.environment['HOME']}/.cache/image-create",
        "DIB_LOCKFILES": f"{plain.builder.environment['HOME']}/.cache/dib/lockfiles",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert sorted(env["IMAGE_ELEMENT"].split()) == ["habit-probe", "tiny-os"]
    assert {"_LIB", "ARCH", "IMAGE_ELEMENT_YAML", "ELEMENTS_PATH", "DIB_ARGS", "DIB_ENV", "DIB_PYTHON_EXEC"} <= set(env)
    assert re.fullmatch(r"dib_build\.\S{8}", Path(build).name)
    assert re.fullmatch(r"dib_image\.\S{8}", Path(image).name)
    assert env["ELEMENTS_PATH"].startswith(plain.builder.environment["ELEMENTS_PATH"] + ":")


@pytest.mark.contract("C-114", "C-118", "C-117")
@every
def test_variables_that_were_not_asked_for(plain: Probed, phase: str) -> None:
    absent = {"DOCKER_TARGET", "LOGFILE", "COMPRESS_IMAGE", "IMAGE_TYPES", "INSTALL_PACKAGES", "MAX_ONLINE_RESIZE"}
    assert not absent & set(plain[phase].env)


@pytest.mark.contract("C-019", "C-021", "C-022", "C-114", "C-184", "C-321")
@every
def test_options_show_in_the_environment(full: Probed, phase: str) -> None:
    expected = {"DOCKER_TARGET": "x:1", "COMPRESS_IMAGE": "", "DIB_CHECKSUM": "1", "DIB_OFFLINE": "1",
                "DIB_NO_TMPFS": "1", "DIB_MIN_TMPFS": "3", "DIB_DEBUG_TRACE": "1", "MAX_ONLINE_RESIZE": "2G",
                "LOGFILE": str(full.records.parent / "log"), "DIB_ROOT_LABEL": "habit"}
    env = full[phase].env
    assert {name: env.get(name) for name in expected} == expected
    assert shlex.split(env["DIB_ARGS"])[-2:] == ["tiny-os", "habit-probe"]


@pytest.mark.contract("C-117")
@every
def test_the_image_size_is_the_user_s_first_and_kib_later(plain: Probed, full: Probed, phase: str) -> None:
    early = PHASES.index(phase) < PHASES.index("block-device")  # 0.1 GiB, rounded up to 64 KiB (C-224)
    assert full[phase].env["DIB_IMAGE_SIZE"] == ("0.1" if early else "104896")
    if early:
        assert "DIB_IMAGE_SIZE" not in plain[phase].env
    else:
        raw = plain.builder.out / "sub.d" / "disk.raw"
        assert int(plain[phase].env["DIB_IMAGE_SIZE"]) * 1024 == raw.stat().st_size


@pytest.mark.contract("C-113", "C-093")
@every
def test_the_caller_s_variables_are_seen_everywhere(plain: Probed, phase: str) -> None:
    env = plain[phase].env
    assert env["HABIT_SECRET"] == SECRET
    assert env["http_proxy"] == "http://192.0.2.9:3128"


@pytest.mark.contract("C-121")
@every
def test_the_caller_s_dib_variables_are_kept_for_manifests(plain: Probed, phase: str) -> None:
    assert 'declare -x DIB_HABIT="x y"' in plain[phase].env["DIB_ENV"]


@pytest.mark.contract("C-119", verdict="bettered", note="the caller's DIB_BLOCK_DEVICE reaches scripts as it is")
@every
def test_the_caller_s_block_device(plain: Probed, phase: str) -> None:
    assert plain[phase].env["DIB_BLOCK_DEVICE"] == "gpt"


@pytest.mark.contract("C-110", "C-029", "C-200", "C-325")
@outside
def test_home_and_path_outside(plain: Probed, phase: str) -> None:
    env = plain[phase].env
    entries = env["PATH"].split(":")
    assert env["HOME"] == plain.builder.environment["HOME"]
    assert {"/sbin", "/usr/sbin", "/usr/local/sbin"} <= set(entries)
    assert os.access(f"{entries[0]}/sudo", os.X_OK)
    assert env["TMPDIR"] == str(plain.builder.temporary)


@pytest.mark.contract("C-111", "C-112", "C-325")
@inside
def test_home_path_and_what_is_stripped_inside(plain: Probed, phase: str) -> None:
    env = plain[phase].env
    assert (env["HOME"], env["USER"], env["LOGNAME"]) == ("/root", "root", "root")
    assert env["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    stripped = {"TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "PERL5LIB", "RUBYLIB",
                "BASH_ENV", "PS4"}
    assert not stripped & set(env)
    assert {"SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND"} <= set(env)


@pytest.mark.contract("C-115")
@inside
def test_host_paths_are_named_inside_but_are_not_there(plain: Probed, phase: str) -> None:
    root = plain["root"].env
    assert {name: plain[phase].env[name] for name in ("_LIB", "TMP_MOUNT_PATH", "TMP_HOOKS_PATH", "DIB_PYTHON_EXEC")} \
        == {name: root[name] for name in ("_LIB", "TMP_MOUNT_PATH", "TMP_HOOKS_PATH", "DIB_PYTHON_EXEC")}


@pytest.mark.contract("C-116")
@every
def test_target_root_in_root_and_cleanup_only(plain: Probed, phase: str) -> None:
    expected = plain[phase].env["TMP_MOUNT_PATH"] if phase in ("root", "cleanup") else None
    assert plain[phase].env.get("TARGET_ROOT") == expected


@pytest.mark.contract("C-117", "C-322")
@every
def test_the_block_device_from_pre_finalise_on(plain: Probed, phase: str) -> None:
    env = plain[phase].env
    if phase not in ON_DISK or plain.mode == "tree":
        assert not {"IMAGE_BLOCK_DEVICE", "IMAGE_BLOCK_DEVICES"} & set(env)
        return
    assert re.fullmatch(r"/dev/loop\d+", env["IMAGE_BLOCK_DEVICE"])
    line = 'eval declare -A devices=( $IMAGE_BLOCK_DEVICES ); echo "${devices[image0]}"'
    told = subprocess.run(["bash", "-c", line], env=env, capture_output=True, text=True, check=True).stdout.strip()
    assert told == env["IMAGE_BLOCK_DEVICE"]


@pytest.mark.contract("C-081", "C-092")
@every
def test_the_install_type_is_seen_after_the_root_phase(plain: Probed, full: Probed, phase: str) -> None:
    assert plain[phase].env.get("DIB_DEFAULT_INSTALLTYPE") == (None if phase == "root" else "source")
    if phase != "root":
        assert full[phase].env["DIB_DEFAULT_INSTALLTYPE"] == "package"


# --- mounts and trees ---------------------------------------------------------------------------------------------


@pytest.mark.contract("C-130", "C-133", "C-135", "C-149", "C-151", "C-156", "C-160", "C-323")
@every
def test_mounts(plain: Probed, phase: str) -> None:
    found = {place: (options.split(",")[0], kind) for place, options, kind in relative(plain, phase)}
    found.pop("/", None)
    if phase in ("root", "block-device"):
        assert found == {}
        return
    tree = found.pop("/tmp/in_target.d", None)
    assert (tree is not None) is (phase in INSIDE)
    assert tree is None or tree[0] == "ro"
    assert set(found) == {"/proc", "/dev", "/dev/pts", "/sys"}
    assert (found["/proc"][1], found["/dev/pts"][1], found["/sys"]) == ("proc", "devpts", ("ro", "sysfs"))
    assert plain[phase].facts["sys"] == "yes"  # there, and not writable


@pytest.mark.contract("C-124")
def test_the_build_lies_in_memory_where_there_is_enough(plain: Probed, full: Probed) -> None:
    def in_memory(probed: Probed) -> set[str]:
        root = probed["root"]
        folders = {root.env["TMP_BUILD_DIR"], root.env["TMP_IMAGE_DIR"]}
        return {Path(place).name[:9] for place, _, kind in root.mounts if place in folders and kind == "tmpfs"}

    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    assert in_memory(plain) == ({"dib_build", "dib_image"} if memory_kib >= 2 * 2 * (1 << 20) else set())
    assert in_memory(full) == set()  # --no-tmpfs


@pytest.mark.contract("C-140")
@every
def test_the_hook_tree_is_inside_in_target_phases_only_and_read_only(plain: Probed, phase: str) -> None:
    assert plain[phase].facts["in_target"] == ("yes" if phase in INSIDE else "no")
    assert plain[phase].facts["writable"] == ("no" if phase in INSIDE else "yes")


@pytest.mark.contract("C-130", "C-149", "C-151", "C-156", "C-123", "C-315")
@outside
def test_where_the_tree_lies(plain: Probed, phase: str) -> None:
    """In tree mode it never moves; `built` is another name of it while DIB would have moved it there."""
    facts = plain[phase].facts
    block_device = phase == "block-device"
    assert facts["mnt"] == facts["filled"] == ("no" if block_device and plain.mode == "device" else "yes")
    if PHASES.index(phase) <= PHASES.index("block-device"):
        assert facts["built"] == ("yes" if block_device else "no")


@pytest.mark.contract("C-156")
@pytest.mark.parametrize("phase", ON_DISK)
def test_the_image_is_mounted_at_the_root(plain: Probed, phase: str) -> None:
    found = {(place, kind) for place, _, kind in relative(plain, phase)}
    assert (("/", "ext4") in found) is (plain.mode == "device")


@pytest.mark.contract("C-132", "C-161", "C-156")
@every
def test_name_servers(plain: Probed, phase: str) -> None:
    facts = plain[phase].facts
    if phase == "root" or (phase == "block-device" and plain.mode == "device"):
        assert "resolv.conf.ORIG" not in facts
        return
    assert facts["resolv.conf"].split() == Path("/etc/resolv.conf").read_text().split()
    assert facts["resolv.conf.ORIG"] == "nameserver 192.0.2.7 "


@pytest.mark.contract("C-135", "C-141", "C-316")
@every
def test_tmp_is_for_everybody(plain: Probed, phase: str) -> None:
    expected = "none" if phase == "block-device" and plain.mode == "device" else "1777"
    assert plain[phase].facts["tmp_mode"] == expected


@pytest.mark.contract("C-302", verdict="bettered", note="the caller's umask does not close the image's folders")
def test_the_caller_s_umask_does_not_reach_the_image_s_root(plain: Probed) -> None:
    raw = plain.builder.out / "sub.d" / "disk.raw"
    shown = subprocess.run(["debugfs", "-R", "stat /", raw], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Mode: +0755 ", shown)
    assert raw.stat().st_mode & 0o777 == 0o666 & ~UMASK, "it is the output's"


@pytest.mark.contract("C-164")
def test_the_log_tells_the_ten_phases_in_order(plain: Probed) -> None:
    told = re.findall(r"^dib-run-parts Target: (\S+)\.d$", plain.done.stdout, re.MULTILINE)
    assert tuple(told) == PHASES
    assert plain.done.stdout.index("Target: cleanup.d") < plain.done.stdout.index("Build completed successfully")
