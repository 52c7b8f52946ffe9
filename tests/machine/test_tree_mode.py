"""Builds in tree mode: what scripts get, what is told, and what is left out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pydib.host import loop
from pydib.host.mount import mounted
from tests.blockdev.tree import nasty
from tests.finished_disk import FILLED_BY_KERNEL
from tests.machine.conftest import Builder

pytestmark = pytest.mark.machine


def test_scripts_of_image_file_get_the_finished_disk_as_a_file(builder: Builder) -> None:
    builder.script("loader", "finalise.d/50-loader", "#!/bin/bash\necho stage two >/boot-code\n")
    builder.script("loader", "image-file.d/50-loader", """#!/bin/bash
set -eu
[ -z "${IMAGE_BLOCK_DEVICE:-}" ]
debugfs -R 'cat /boot-code' "$IMAGE_FILE"
cat "$TARGET_ROOT/boot-code"
printf 'stage one' | dd of="$IMAGE_FILE" conv=notrunc status=none
""")
    done = builder.run("-t", "raw", "tiny-os", "loader")
    assert done.returncode == 0, done.stdout
    assert (builder.out / "disk.raw").read_bytes()[:9] == b"stage one"
    assert done.stdout.count("stage two") == 2
    assert "dib-run-parts Target: image-file.d" in done.stdout


def test_a_failing_script_of_image_file_ends_the_build_with_its_code(builder: Builder) -> None:
    builder.script("loader", "image-file.d/50-loader", "#!/bin/bash\nexit 42\n")
    done = builder.run("-t", "raw", "tiny-os", "loader")
    assert done.returncode == 42
    assert "image-file.d/50-loader of element loader failed with exit code 42" in done.stdout
    assert builder.left() == []


def test_in_device_mode_that_folder_is_not_run(builder: Builder) -> None:
    builder.script("loader", "image-file.d/50-loader", "#!/bin/bash\nexit 42\n")
    done = builder.run("-t", "raw", "--assemble", "device", "tiny-os", "loader")
    assert done.returncode == 0, done.stdout


def test_without_an_output_of_the_disk_no_disk_is_made(builder: Builder) -> None:
    builder.script("loader", "image-file.d/50-loader", "#!/bin/bash\nexit 42\n")
    done = builder.run("-t", "tar", "tiny-os", "loader")
    assert done.returncode == 0, done.stdout
    assert "made ext4" not in done.stdout
    assert builder.left() == ["disk.tar"]


@pytest.mark.contract("C-209", "C-117")
def test_a_script_that_asks_for_the_device_hears_why_there_is_none(builder: Builder) -> None:
    builder.script("asks", "finalise.d/50-asks", "#!/bin/bash\necho nothing yet\n")
    builder.script("asks", "cleanup.d/50-asks", """#!/bin/bash
"$DIB_PYTHON_EXEC" "$_LIB/dib-block-device.py" getval root-label
"$DIB_PYTHON_EXEC" "$_LIB/dib-block-device.py" getval image-block-device && exit 1
exit 0
""")
    done = builder.run("-t", "raw", "--assemble", "tree", "tiny-os", "asks")
    assert done.returncode == 0, done.stdout
    assert "WARNING: cleanup.d/50-asks of element asks uses" in done.stdout
    assert "cloudimg-rootfs" in done.stdout
    assert "in tree mode there is no block device" in done.stdout


@pytest.mark.contract("C-117", "C-156", verdict="bettered",
                      note="where no script means the block device there is none: the disk is made from the tree")
def test_a_script_that_needs_a_device_gets_one(builder: Builder) -> None:
    builder.script("needs", "finalise.d/50-needs", "#!/bin/bash\n[ -b \"$IMAGE_BLOCK_DEVICE\" ] && echo THERE\n")
    done = builder.run("-t", "raw", "tiny-os", "needs")
    assert done.returncode == 0, done.stdout
    assert "THERE" in done.stdout


def test_tree_mode_that_cannot_be_is_refused_before_anything_is_made(builder: Builder) -> None:
    done = builder.run("-t", "raw", "--assemble", "tree", "tiny-os", DIB_BLOCK_SIZE="4096")
    assert done.returncode == 1
    assert "cannot be made from the tree: image0 has sectors of 4096 bytes" in done.stdout
    assert "--assemble device" in done.stdout
    assert "Target: root.d" not in done.stdout
    assert builder.run("-t", "raw", "--assemble", "dream", "tiny-os").returncode == 1


def test_a_tree_that_does_not_fit_is_told_as_in_device_mode(builder: Builder) -> None:
    builder.script("large", "install.d/50-large", "#!/bin/bash\nhead -c 80000000 /dev/urandom >/large\n")
    for mode in ("tree", "device"):
        done = builder.run("-t", "raw", "--assemble", mode, "--image-size", "0.05", "tiny-os", "large")
        assert done.returncode == 1
        assert "the image is too small for the tree: give --image-size" in done.stdout
        assert builder.left() == []


@pytest.mark.contract("C-150", "C-151", verdict="bettered", note="in tree mode the tree stays; built leads to it")
def test_a_script_finds_the_finished_tree_by_either_name(builder: Builder) -> None:
    builder.script("asks", "block-device.d/50-asks", """#!/bin/bash
[ "$TMP_BUILD_DIR/built/etc/os-release" -ef "$TMP_MOUNT_PATH/etc/os-release" ] && touch "$TMP_BUILD_DIR/built/etc/late"
""")
    builder.script("asks", "cleanup.d/50-asks", '#!/bin/bash\n[ -e "$TARGET_ROOT/etc/late" ]; '
                                                '[ ! -e "$TMP_BUILD_DIR/built" ]\n')
    done = builder.run("-t", "raw", "tiny-os", "asks")
    assert done.returncode == 0, done.stdout


def test_partitions_that_do_not_fit_are_told_before_the_last_scripts(builder: Builder) -> None:
    builder.script("late", "finalise.d/50-late", "#!/bin/bash\necho TOO LATE\n")
    layout = ("[{local_loop: {name: image0}}, {partitioning: {base: image0, label: mbr, partitions: "
              "[{name: root, flags: [primary], size: 9GiB, mkfs: {mount: {mount_point: /}}}]}}]")
    done = builder.run("-t", "raw", "--image-size", "0.2", "tiny-os", "late", DIB_BLOCK_DEVICE_CONFIG=layout)
    assert done.returncode == 1
    assert "partition root needs 9.0 GiB" in done.stdout
    assert "TOO LATE" not in done.stdout
    assert builder.left() == []


def test_what_scripts_mount_in_the_tree_stays_out(builder: Builder) -> None:
    builder.script("mounts", "cleanup.d/50-mounts", """#!/bin/bash
mkdir -p "$TARGET_ROOT/kept" && mount -t tmpfs none "$TARGET_ROOT/kept" && touch "$TARGET_ROOT/kept/lost"
""")
    done = builder.run("-t", "raw", "tiny-os", "mounts")
    assert done.returncode == 0, done.stdout
    listed = subprocess.run(["debugfs", "-R", "ls -p /kept", builder.out / "disk.raw"], capture_output=True, text=True,
                            check=True).stdout
    assert "lost" not in listed


@pytest.mark.contract("C-224")
def test_the_image_is_as_large_as_in_device_mode(builder: Builder) -> None:
    sizes = []
    for mode in ("tree", "device"):
        assert builder.run("-t", "raw", "--assemble", mode, "tiny-os", OVERWRITE_OLD_IMAGE="1").returncode == 0
        sizes.append((builder.out / "disk.raw").stat().st_size)
    assert sizes[0] == sizes[1]


UNPACK = """#!/bin/bash
set -eu
mkdir "$TARGET_ROOT/srv"
tar --extract --file "$NASTY" --directory "$TARGET_ROOT/srv" --numeric-owner --same-permissions --xattrs \\
    --xattrs-include='*' --acls
"""


@pytest.mark.parametrize("fs_type", ["ext4", pytest.param("xfs", marks=FILLED_BY_KERNEL)])
def test_the_same_recipe_gives_the_same_tree_in_both_modes(builder: Builder, tmp_path: Path, fs_type: str) -> None:
    """From root.d to the image: with all that is easily lost, and what finalise.d and cleanup.d add."""
    (tmp_path / "nasty").mkdir()
    nasty.fill(tmp_path / "nasty")
    subprocess.run(["tar", "--create", "--file", tmp_path / "nasty.tar", "--directory", tmp_path / "nasty", "--sparse",
                    "--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "."], check=True, capture_output=True)
    builder.script("nasty", "root.d/50-nasty", UNPACK)
    builder.script("nasty", "finalise.d/50-late", "#!/bin/bash\nln /bin/busybox /late && touch -d @77 /late-too\n")
    builder.script("nasty", "cleanup.d/50-later", '#!/bin/bash\nchown 7:8 "$TARGET_ROOT/late-too"\n')
    found = []
    for mode in ("tree", "device"):
        done = builder.run("-t", "raw", "--assemble", mode, "--image-size", "0.6", "tiny-os", "nasty",
                           FS_TYPE=fs_type, NASTY=str(tmp_path / "nasty.tar"), OVERWRITE_OLD_IMAGE="1")
        assert done.returncode == 0, done.stdout
        (tmp_path / mode).mkdir()
        with loop.attached(builder.out / "disk.raw") as device, mounted(device, tmp_path / mode, options="ro") as shown:
            found.append(nasty.entries(shown))
    for one in found:
        _forget_the_time(one)
    differing = {name for name in found[0].keys() | found[1].keys() if found[0].get(name) != found[1].get(name)}
    assert not differing, [(name, *(one.get(name) for one in found)) for name in sorted(differing)]
    assert "srv/capable" in found[0]
    assert found[0]["late-too"][1:4] == (7, 8, 77 * 10**9)


def _forget_the_time(entries: dict[str, tuple[object, ...]]) -> None:
    """Of what each build makes anew, and of a name that ext4's tools cannot take with its nanoseconds."""
    for name, facts in entries.items():
        if not name.startswith("srv/") or not nasty.is_line(name):
            entries[name] = (*facts[:3], facts[3] if name == "late-too" else 0, *facts[4:])
