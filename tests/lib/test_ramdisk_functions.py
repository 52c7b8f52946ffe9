"""Ramdisks (C-195): each function on a small fake tree, and DIB's own ramdisk element, unmodified, as a whole."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lib.conftest import LIB

SOURCED = "common-functions img-functions ramdisk-functions"
KERNEL = "6.1.0-10-amd64"
COPIED = [f"{kind}-{what}" for kind in ("common", "img", "ramdisk") for what in ("defaults", "functions")]


@pytest.fixture
def place(tmp_path):
    """Directories for a ramdisk, and the variables that name them."""
    for name in ("tree/lib", "tree/bin", "hooks/init.d", "hooks/udev.d", "boot", "scripts/d", "firmware",
                 f"modules/lib/modules/{KERNEL}/kernel/drivers/video/fbdev/core"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def ramdisk(place, bash):
    """`ramdisk("populate_init")`: run functions of the library on those directories."""
    env = {"TMP_MOUNT_PATH": f"{place}/tree", "_DIB_TREE": f"{place}/hooks", "_DIB_BOOT": f"{place}/boot",
           "_DIB_BINARY_DEPS": f"{place}/deps", "MODULE_ROOT": f"{place}/modules",
           "MODULE_DIR": f"{place}/modules/lib/modules/{KERNEL}", "FIRMWARE_DIR": f"{place}/firmware",
           "LIB_UDEV": f"{place}/udev", "INIT": f"{place}/scripts/init", "FUNCTIONS_D": f"{place}/scripts/d",
           "BUSYBOX": f"{place}/busybox", "TMP_IMAGE_PATH": f"{place}/image"}
    return lambda code, **more: bash(SOURCED, code, env={**env, **more})


def program(path: Path, text: str) -> Path:
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(0o755)
    return path


@pytest.mark.contract("C-195")
@pytest.mark.parametrize(("kernels", "version"), [
    (["vmlinuz-6.1.0-9-amd64", f"vmlinuz-{KERNEL}"], KERNEL),
    ([f"vmlinuz-{KERNEL}", "vmlinuz-9.9-without-modules"], KERNEL),
    (["vmlinux-3.9.9", "vmlinuz-3.9.10.el7", "System.map-4"], "3.9.10.el7"),
])
def test_the_newest_kernel_is_found_those_with_modules_first(kernels, version, place, ramdisk):
    for name in kernels:
        (place / "boot" / name).touch()
    assert ramdisk("find_kernel_version").stdout == f"{version}\n"


def test_without_a_kernel_there_is_a_message(ramdisk):
    done = ramdisk('KERNEL_VERSION=${DIB_KERNEL_VERSION:-$(find_kernel_version)}; echo "alive $KERNEL_VERSION"')
    assert (done.returncode, done.stdout) == (1, "")
    assert "No kernel found" in done.stderr


@pytest.mark.contract("C-195", "C-312")
def test_init_is_its_head_the_fragments_of_all_elements_and_its_end(place, ramdisk):
    (place / "scripts/init").write_text("#!/bin/bash\necho head")
    (place / "scripts/init-end").write_text("echo end\n")
    (place / "scripts/d/init-func").write_text("# functions\n")
    for name, text in {"30-b": "echo b", "5-c": "echo c\n", "10-a": "echo a"}.items():
        (place / "hooks/init.d" / name).write_text(text)
    assert ramdisk("populate_init").returncode == 0
    init = place / "tree/init"
    assert subprocess.run([init], capture_output=True, text=True).stdout.split() == ["head", "a", "b", "c", "end"]
    assert (place / "tree/init-func").read_text() == "# functions\n"


def test_a_ramdisk_without_fragments_still_has_an_init(place, ramdisk):
    (place / "scripts/init").write_text("#!/bin/bash\necho head\n")
    (place / "scripts/init-end").write_text("echo end\n")
    (place / "hooks/init.d").rmdir()
    assert ramdisk("populate_init").returncode == 0
    assert subprocess.run([place / "tree/init"], capture_output=True, text=True).stdout == "head\nend\n"


@pytest.mark.contract("C-195")
def test_busybox_stands_for_what_is_not_there(place, ramdisk):
    program(place / "busybox", "printf '%s\\n' [ sh ip busybox")
    program(place / "tree/bin/ip", "")
    done = ramdisk("populate_busybox")
    links = {path.name: os.readlink(path) for path in (place / "tree/bin").iterdir() if path.is_symlink()}
    assert links == {"[": "busybox", "sh": "busybox"}
    assert done.stdout.splitlines()[1:] == ["skip ip", "skip busybox"]


@pytest.mark.contract("C-195", verdict="bettered", note="installed programs of binary-deps.d go before busybox's")
def test_programs_of_binary_deps_come_with_their_libraries(place, ramdisk):
    (place / "deps").write_text(" bash\ngrep ")
    assert ramdisk("create_ramdisk_base; populate_lib").returncode == 0
    tree = place / "tree"
    if os.geteuid() == 0:
        done = subprocess.run(["/usr/sbin/chroot", tree, "/bin/bash", "-c", "echo x | grep -o x"],
                              env={"PATH": "/bin"}, capture_output=True, text=True)
        assert done.stdout == "x\n", done.stderr
    assert (tree / "bin/grep").is_file()
    assert not (tree / "bin/grep").is_symlink()
    assert list((tree / "lib").glob("libc.so.*"))


@pytest.mark.contract("C-195")
def test_modules_come_without_framebuffer_drivers(place, ramdisk):
    video = place / f"modules/lib/modules/{KERNEL}/kernel/drivers/video"
    for name in ("fbdev/vfb.ko", "fbdev/core/xfb.ko.xz", "fbdev/macmodes.ko", "fbdev/core/fb.txt"):
        (video / name).touch()
    (place / f"modules/lib/modules/{KERNEL}/build").symlink_to("/nowhere")
    (place / "firmware/card.bin").write_text("x")
    assert ramdisk("create_ramdisk_base; populate_lib").returncode == 0
    found = {path.name for path in (place / "tree/lib/modules").rglob("*") if not path.is_dir()}
    assert found == {"macmodes.ko", "fb.txt"}
    assert (place / "tree/lib/firmware/card.bin").exists()


def test_a_program_that_is_not_installed_is_named(place, ramdisk):
    (place / "deps").write_text("no-such-program-here")
    done = ramdisk("create_ramdisk_base; populate_lib; echo alive")
    assert done.returncode != 0
    assert "no-such-program-here, which binary-deps.d of an element names, is not installed" in done.stdout
    assert "alive" not in done.stdout


def test_missing_modules_are_named(ramdisk):
    done = ramdisk("create_ramdisk_base; populate_lib", MODULE_DIR="/nonexistent/lib/modules/7")
    assert done.returncode == 1
    assert "the kernel's modules are not in /nonexistent/lib/modules/7" in done.stdout


def test_udev_rules_of_elements_are_copied(place, ramdisk):
    (place / "hooks/udev.d/60-x.rules").write_text("x")
    assert ramdisk("populate_udev").returncode == 0
    assert (place / "tree/lib/udev/rules.d/60-x.rules").read_text() == "x"


@pytest.mark.contract("C-195")
def test_the_image_is_a_cpio_archive_that_is_the_same_each_time(place, ramdisk):
    if not shutil.which("cpio"):
        pytest.skip("cpio is not installed")
    (place / "tree/file with blank").write_text("text")
    images = []
    for _ in range(2):
        assert ramdisk("finalise_image").returncode == 0
        images.append((place / "image").read_bytes())
    assert images[0] == images[1]
    assert gzip.decompress(images[0]).startswith(b"070701")
    done = subprocess.run(["cpio", "-i", "--quiet", "--to-stdout", "*file with blank"], capture_output=True,
                          input=gzip.decompress(images[0]))
    assert done.stdout == b"text"


def test_an_image_that_cannot_be_written_ends_the_script(ramdisk):
    done = ramdisk("finalise_image; echo alive", TMP_IMAGE_PATH="/nonexistent/image")
    assert done.returncode != 0
    assert "could not be packed into /nonexistent/image" in done.stdout


@pytest.mark.machine
@pytest.mark.contract("C-190", "C-195", "C-310", "C-311", "C-312", "C-316")
def test_the_ramdisk_element_of_dib_builds_a_ramdisk_with_our_library(tmp_path, oracle_lib):
    """The element's script runs as in a target: /tmp is that of this test, and so are the kernel and its modules."""
    for name in ("busybox", "cpio", "udevadm"):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    target = element_tree(tmp_path, oracle_lib.parent / "elements")
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/vmlinuz-{KERNEL}").write_text("the kernel")
    script = ('mount --bind "$1/boot" /boot; mount --bind "$1/tmp" /tmp; cd /; '
              "exec /tmp/in_target.d/post-install.d/99-build-ramdisk")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-ec", script, "-", str(tmp_path)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "ARCH": "amd64", "DIB_DEBUG_TRACE": "0",
             "_DIB_BINARY_DEPS": "/tmp/deps", "DIB_MODULE_ROOT": "/tmp/modules", "TMP_BUILD_DIR": "/host/build"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert (target / "kernel").read_text() == "the kernel"
    names = archive_names(target / "ramdisk")
    assert {"init", "init-func", "iscsi-func", "bin/busybox", "bin/bash", "bin/udevadm", "bin/sh", "sbin", "etc/fstab",
            "lib/udev/rules.d/60-persistent-storage.rules", f"lib/modules/{KERNEL}/modules.dep",
            "made-by-a-hook"} <= names


def element_tree(folder: Path, elements: Path) -> Path:
    """/tmp of a target as DIB's extra-data scripts leave it."""
    tmp = folder / "tmp"
    for name in ("ramdisk", "ramdisk-base"):
        shutil.copytree(elements / name, tmp / "in_target.d", dirs_exist_ok=True)
    shutil.copytree(elements / "ramdisk-base/extra-data.d/scripts", tmp / "ramdisk-build/scripts")
    (tmp / "ramdisk-build/scripts/d/iscsi-func").write_text("# nothing\n")
    for name in COPIED:
        shutil.copy(LIB / name, tmp / "ramdisk-build")
    hook = tmp / "in_target.d/ramdisk-install.d/50-hook"
    hook.parent.mkdir()
    program(hook, 'touch "$TMP_MOUNT_PATH/made-by-a-hook"\n')
    modules = tmp / f"modules/lib/modules/{KERNEL}"
    modules.mkdir(parents=True)
    (modules / "modules.dep").touch()
    (tmp / "deps").write_text("busybox")
    return tmp


def archive_names(ramdisk: Path) -> set[str]:
    """Names in a compressed cpio archive."""
    done = subprocess.run(["cpio", "--list", "--quiet"], input=gzip.decompress(ramdisk.read_bytes()),
                          capture_output=True, check=True)
    return set(done.stdout.decode().splitlines())
