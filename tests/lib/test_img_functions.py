"""Which kernel and ramdisk a system boots with (C-193), on fake /boot directories."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.lib.conftest import run_bash

SELECT = 'select_boot_kernel_initrd "$1"; echo "$KERNEL:$RAMDISK:$BOOTDIR:$TARGET_ROOT"'


def plant(root: Path, *names: str) -> Path:
    """Empty files; `a -> b` is a link."""
    for name in ("boot", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in names:
        link, _, target = name.partition(" -> ")
        if target:
            (root / link).symlink_to(target)
        else:
            (root / name).touch()
    return root


CASES = {
    "debian takes the newest by version, not by letters": (
        ["etc/debian_version", "boot/vmlinuz-6.1.0-9-amd64", "boot/vmlinuz-6.1.0-10-amd64",
         "boot/initrd.img-6.1.0-9-amd64", "boot/initrd.img-6.1.0-10-amd64"], {},
        "vmlinuz-6.1.0-10-amd64", "initrd.img-6.1.0-10-amd64"),
    "ubuntu prefers a generic kernel": (
        ["etc/debian_version", "boot/vmlinuz-6.1.0-9-generic", "boot/vmlinuz-6.9-virtual",
         "boot/initrd.img-6.1.0-9-generic", "boot/initrd.img-6.9-virtual"], {},
        "vmlinuz-6.1.0-9-generic", "initrd.img-6.1.0-9-generic"),
    "the environment names a signed kernel": (
        ["etc/debian_version", "boot/vmlinuz-6.1-generic", "boot/initrd.img-6.1-generic"],
        {"DIB_SIGNED_KERNEL_VERSION": "6.0-generic.efi.signed"},
        "vmlinuz-6.0-generic.efi.signed", "initrd.img-6.1-generic"),
    "red hat takes no debug kernel": (
        ["etc/redhat-release", "boot/vmlinuz-5.14.0-9", "boot/vmlinuz-5.14.0-10", "boot/vmlinuz-5.14.0-11.debug",
         "boot/vmlinuz-0-rescue-abc", "boot/initramfs-5.14.0-9.img", "boot/initramfs-5.14.0-10.img"], {},
        "vmlinuz-5.14.0-10", "initramfs-5.14.0-10.img"),
    "red hat prefers PAE": (
        ["etc/redhat-release", "boot/vmlinuz-5.14.0-9.PAE", "boot/vmlinuz-5.14.0-10",
         "boot/initramfs-5.14.0-9.PAE.img", "boot/initramfs-5.14.0-10.img"], {},
        "vmlinuz-5.14.0-9.PAE", "initramfs-5.14.0-9.PAE.img"),
    "suse follows its links": (
        ["etc/SuSE-release", "boot/vmlinuz-4.4-default", "boot/vmlinuz-5.0-default", "boot/initrd-4.4-default",
         "boot/vmlinuz -> vmlinuz-4.4-default", "boot/initrd -> initrd-4.4-default"], {},
        "vmlinuz-4.4-default", "initrd-4.4-default"),
    "a suse without a release file is known by DISTRO_NAME": (
        ["boot/vmlinuz -> vmlinuz-6.4-default", "boot/initrd -> initrd-6.4-default"], {"DISTRO_NAME": "opensuse"},
        "vmlinuz-6.4-default", "initrd-6.4-default"),
    "gentoo takes the newest": (
        ["etc/gentoo-release", "boot/vmlinuz-6.6.2-gentoo", "boot/vmlinuz-6.6.10-gentoo",
         "boot/initramfs-6.6.2-gentoo.img", "boot/initramfs-6.6.10-gentoo.img"], {},
        "vmlinuz-6.6.10-gentoo", "initramfs-6.6.10-gentoo.img"),
    "patterns go first": (
        ["etc/debian_version", "boot/vmlinuz-6.1", "boot/initrd.img-6.1", "boot/kernel-1.9", "boot/kernel-1.10",
         "boot/ird-1.9", "boot/ird-1.10"],
        {"DIB_BAREMETAL_KERNEL_PATTERN": "kernel-*", "DIB_BAREMETAL_INITRD_PATTERN": "ird-*"},
        "kernel-1.10", "ird-1.10"),
    "one pattern alone does not count": (
        ["etc/debian_version", "boot/vmlinuz-6.1", "boot/initrd.img-6.1", "boot/kernel-1.9"],
        {"DIB_BAREMETAL_KERNEL_PATTERN": "kernel-*"}, "vmlinuz-6.1", "initrd.img-6.1"),
}


@pytest.mark.contract("C-192", "C-193")
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_is_chosen_by_the_rules_of_the_distribution(case, tmp_path, bash):
    names, env, kernel, ramdisk = CASES[case]
    root = plant(tmp_path / "root with blank", *names)
    done = bash("img-functions", SELECT, env=env, arguments=(str(root),))
    assert (done.returncode, done.stdout) == (0, f"{kernel}:{ramdisk}:{root}/boot:{root}\n"), done.stderr


def test_a_file_in_the_image_names_a_signed_kernel(tmp_path, bash):
    root = plant(tmp_path, "etc/debian_version", "boot/vmlinuz-6.1-generic", "boot/initrd.img-6.1-generic")
    (root / "dib-signed-kernel-version").write_text("DIB_SIGNED_KERNEL_VERSION=6.1-generic.efi.signed\n")
    done = bash("img-functions", SELECT, arguments=(str(root),))
    assert done.stdout.startswith("vmlinuz-6.1-generic.efi.signed:initrd.img-6.1-generic:")


@pytest.mark.parametrize(("names", "says"), [
    (["etc/debian_version"], "No suitable kernel found in {root}/boot"),
    (["etc/debian_version", "boot/vmlinuz-6.1"], "No ramdisk for the kernel vmlinuz-6.1"),
    (["etc/redhat-release", "boot/vmlinuz-6.1", "boot/initramfs-6.0.img"], "No ramdisk for the kernel vmlinuz-6.1"),
    (["etc/SuSE-release", "boot/vmlinuz-6.1"], "No suitable kernel found"),
    (["etc/os-release", "boot/vmlinuz-6.1"], "a distribution that is not known"),
])
@pytest.mark.contract("C-193", verdict="bettered", note="every failure says what was not found, and where")
def test_without_a_kernel_the_script_ends_with_status_1_and_says_why(names, says, tmp_path, bash):
    done = bash("img-functions", SELECT, arguments=(str(plant(tmp_path, *names)),))
    assert (done.returncode, done.stdout) == (1, "")
    assert says.format(root=tmp_path) in done.stderr


def test_paths_of_the_root_directory_have_no_double_slash(bash):
    code = '_check_boot_files() { :; }\nDISTRO_NAME=opensuse select_boot_kernel_initrd /; echo "$BOOTDIR"'
    done = bash("img-functions", code)
    assert done.stdout == "/boot\n"


@pytest.mark.contract("C-193")
def test_the_choice_is_that_of_dib_on_random_boot_directories(tmp_path, lib, oracle_lib):
    """Forty systems with a random lot of kernels each."""
    chance = random.Random(193)
    code = SELECT.replace(":$BOOTDIR:$TARGET_ROOT", "")
    for number in range(40):
        root = plant(tmp_path / str(number), *random_system(chance))
        answers = []
        for each in (oracle_lib, lib):
            done = run_bash(each, "img-functions", code, {"DISTRO_NAME": "any"}, (str(root),))
            answers.append((done.returncode, done.stdout if done.returncode == 0 else ""))
        assert answers[0] == answers[1], sorted(path.name for path in (root / "boot").iterdir())


def random_system(chance: random.Random) -> list[str]:
    """Names of kernels and ramdisks of a distribution, some of them missing."""
    release, ramdisk = chance.choice([("debian_version", "initrd.img-{}"), ("redhat-release", "initramfs-{}.img"),
                                      ("gentoo-release", "initramfs-{}.img")])
    versions = {f"{chance.randint(2, 6)}.{chance.randint(0, 20)}.{chance.randint(0, 12)}-{chance.randint(1, 120)}"
                f"{chance.choice(['', '-generic', '-amd64', '.el9.x86_64', '.PAE', '.debug', '-cloud-amd64'])}"
                for _ in range(chance.randint(0, 6))}
    names = [f"etc/{release}"]
    for version in sorted(versions):
        names.append(f"boot/vmlinuz-{version}")
        if chance.random() < 0.9:
            names.append("boot/" + ramdisk.format(version))
    if release == "debian_version" and versions and chance.random() < 0.3:
        names += [f"boot/vmlinuz -> vmlinuz-{min(versions)}", f"boot/initrd.img -> initrd.img-{min(versions)}"]
    return names


@pytest.mark.contract("C-194", "C-195")
def test_directories_to_work_in_go_when_the_script_ends(tmp_path, bash):
    code = 'mk_build_dir; mkdir "$TMP_BUILD_DIR/mnt"; touch "$TMP_IMAGE_PATH"; stat -c %a "$TMP_BUILD_DIR"; exit 7'
    done = bash("common-functions img-functions", code, env={"TMPDIR": str(tmp_path)})
    lines = done.stdout.splitlines()
    assert done.returncode == 7
    assert lines[0].startswith(f"Building in {tmp_path}/dib_build.")
    assert lines[1] == "700"
    assert list(tmp_path.iterdir()) == []


def test_a_script_can_keep_its_directories(tmp_path, bash):
    done = bash("common-functions img-functions", "mk_build_dir; trap EXIT", env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == ["dib_build", "dib_image"]


@pytest.mark.machine
def test_what_is_mounted_in_a_work_directory_is_never_deleted(tmp_path, lib):
    source = tmp_path / "precious"
    source.mkdir()
    (source / "file").touch()
    code = (f'mk_build_dir; mkdir "$TMP_BUILD_DIR/mnt"; mount --bind {source} "$TMP_BUILD_DIR/mnt"')
    wrapped = f"""unshare --mount --propagation private bash -c '
        set -eu; . {lib}/common-functions; . {lib}/img-functions; {code}'"""
    done = run_bash(lib, "", wrapped, {"TMPDIR": str(tmp_path)})
    assert "is kept: something is mounted in it" in done.stderr
    assert (source / "file").exists()
