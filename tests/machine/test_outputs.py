"""Every output of a build, opened and checked by its own tool (contract C-017, C-018, C-230 to C-238)."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.machine.conftest import Builder

pytestmark = pytest.mark.machine

ALL = ("qcow2", "raw", "tar", "tgz", "squashfs", "vhd", "aci")
LEAVES = """#!/bin/bash
set -eu
echo kept > /.hidden
echo kept > /etc/.hidden
ln -s /etc/hostname /absolute
mkdir -p /srv/data
echo data > /srv/data/file
ln /srv/data/file /srv/data/hard
ln -s ./file /srv/data/dot
chown 1234:2345 /srv/data/file
chmod 4750 /srv/data/file
head -c 300000 /dev/urandom > /srv/data/noise
"""
PRESENT = {".hidden", "etc/.hidden", "absolute", "srv/data/file", "srv/data/hard", "srv/data/noise", "bin/busybox",
           "dev", "proc", "sys", "tmp"}


def tool(name: str, *arguments: object) -> str:
    """What a tool says; a machine without it cannot check."""
    program = shutil.which(name, path=os.environ["PATH"] + ":/sbin:/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stand_in(builder: Builder, name: str, text: str) -> str:
    """Put a program of that name first on PATH; gives the PATH."""
    folder = builder.out.parent / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(text)
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def without_leading_dot(name: str) -> str:
    return name.removeprefix("./").rstrip("/")


def check_tree(names: set[str], listed: dict[str, str]) -> None:
    """All of the tree is there, and nothing of the build host. `listed` gives each device's path and kind."""
    assert names >= PRESENT, PRESENT - names
    assert not any(name.startswith(("dev/", "proc/", "sys/", "tmp/", "lost+found")) for name in names)
    assert listed == {}


def members(path: Path, mode: str, root: str = "") -> dict[str, tarfile.TarInfo]:
    """The archive's members by name, below `root`."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        return {without_leading_dot(member.name.removeprefix(root)).lstrip("/"): member for member in archive}


def check_tar(found: dict[str, tarfile.TarInfo]) -> None:
    check_tree(set(found), {name: "device" for name, member in found.items() if member.isdev()})
    file, hard = found["srv/data/file"], found["srv/data/hard"]
    assert (file.uid, file.gid, file.mode) == (1234, 2345, 0o4750)
    assert file.islnk() != hard.islnk()
    assert found["absolute"].linkname == "/etc/hostname"
    assert found["srv/data/dot"].linkname == "./file"


@pytest.mark.contract("C-231", "C-232", "C-233", "C-230", verdict="bettered",
                      note="each type is made whatever else is asked for; no device nodes of the host, no lost+found")
@pytest.mark.contract("C-236", "C-237")
@pytest.mark.parametrize("mode", ["tree", "device"])
def test_seven_outputs_at_once_each_right(builder: Builder, mode: str) -> None:
    builder.script("leaves", "install.d/50-leaves", LEAVES)
    manifest = builder.out / "manifest.json"
    manifest.write_text('{"acKind": "ImageManifest"}\n')
    done = builder.run("-t", ",".join(ALL), "--checksum", "--assemble", mode, "tiny-os", "leaves",
                       ACI_MANIFEST="manifest.json")
    assert done.returncode == 0, done.stdout
    manifest.unlink()
    assert builder.left() == sorted(f"disk.{kind}{suffix}" for kind in ALL for suffix in ("", ".md5", ".sha256"))
    for kind in ALL:
        tool("sha256sum", "--check", "--status", builder.out / f"disk.{kind}.sha256")
        tool("md5sum", "--check", "--status", builder.out / f"disk.{kind}.md5")
    raw = builder.out / "disk.raw"
    check_raw(raw)
    check_qcow2(builder.out / "disk.qcow2", raw)
    check_vhd(builder.out / "disk.vhd", raw)
    check_tar(members(builder.out / "disk.tar", "r:"))
    tool("gzip", "--test", builder.out / "disk.tgz")
    check_tar(members(builder.out / "disk.tgz", "r:gz"))
    check_aci(builder.out / "disk.aci")
    check_squashfs(builder.out / "disk.squashfs", builder.out.parent / "unpacked")


def check_raw(raw: Path) -> None:
    tool("e2fsck", "-fn", raw)
    assert raw.stat().st_blocks * 512 < raw.stat().st_size / 2, "not sparse"
    assert re.search(r"Mode: +04750 ", tool("debugfs", "-R", "stat /srv/data/file", raw))
    assert "Type: regular" in tool("debugfs", "-R", "stat /.hidden", raw)


def check_qcow2(qcow2: Path, raw: Path) -> None:
    tool("qemu-img", "check", qcow2)
    tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, qcow2)
    assert json.loads(tool("qemu-img", "info", "--output=json", qcow2))["virtual-size"] == raw.stat().st_size
    facts = json.loads(tool("qemu-img", "check", "--output=json", qcow2))
    assert facts["compressed-clusters"] > 0


def check_vhd(vhd: Path, raw: Path) -> None:
    tool("qemu-img", "compare", "-f", "raw", "-F", "vpc", raw, vhd)
    footer = vhd.read_bytes()[-512:]
    cookie, size = footer[:8], struct.unpack(">Q", footer[48:56])[0]
    kind, checksum = struct.unpack(">II", footer[60:68])
    assert (cookie, size, kind) == (b"conectix", raw.stat().st_size, 3), "not a dynamic VHD of the disk's size"
    assert checksum == ~sum(footer[:64] + bytes(4) + footer[68:]) & 0xFFFFFFFF


def check_aci(aci: Path) -> None:
    found = members(aci, "r:")
    assert {name.split("/")[0] for name in found} == {"rootfs", "manifest"}
    assert (found["manifest"].uid, stat.S_IMODE(found["manifest"].mode)) == (0, 0o644)
    with tarfile.open(aci) as archive:
        stream = archive.extractfile("manifest")
        assert stream is not None
        assert json.load(stream) == {"acKind": "ImageManifest"}
    inside = {name.removeprefix("rootfs/"): member for name, member in found.items() if name.startswith("rootfs/")}
    check_tar(inside)
    hard = next(member for member in found.values() if member.islnk())
    assert hard.linkname in ("rootfs/srv/data/file", "rootfs/srv/data/hard"), "a hard link that leads out of rootfs"


def check_squashfs(squashfs: Path, place: Path) -> None:
    assert "Compression xz" in tool("unsquashfs", "-stat", squashfs)
    listed = tool("unsquashfs", "-lln", squashfs).splitlines()
    lines = {line.split("squashfs-root/", 1)[1].split(" -> ")[0]: line for line in listed if "squashfs-root/" in line}
    check_tree(set(lines), {name: line for name, line in lines.items() if line[0] in "bc"})
    assert re.match(r"-rwsr-x--- 1234/2345 ", lines["srv/data/file"])
    tool("unsquashfs", "-quiet", "-no-progress", "-dest", place, squashfs)
    assert (place / "srv/data/file").stat().st_ino == (place / "srv/data/hard").stat().st_ino


@pytest.mark.contract("C-017")
def test_any_format_of_qemu_img_and_several_options(builder: Builder) -> None:
    done = builder.run("-t", "vmdk,vdi,vpc,raw,vhdx", "tiny-os")
    assert done.returncode == 0, done.stdout
    for kind in ("vmdk", "vdi", "vpc", "vhdx"):
        tool("qemu-img", "compare", "-f", "raw", "-F", kind, builder.out / "disk.raw", builder.out / f"disk.{kind}")


@pytest.mark.contract("C-232", verdict="bettered", note="another type never switches the compression of qcow2 off")
@pytest.mark.parametrize(("arguments", "compressed"), [(("-t", "tgz,qcow2"), True), (("-u", "-t", "tgz,qcow2"), False)])
def test_qcow2_is_compressed_unless_u(builder: Builder, arguments: tuple[str, ...], compressed: bool) -> None:
    done = builder.run(*arguments, "tiny-os")
    assert done.returncode == 0, done.stdout
    facts = json.loads(tool("qemu-img", "check", "--output=json", builder.out / "disk.qcow2"))
    assert (facts.get("compressed-clusters", 0) > 0) is compressed


@pytest.mark.contract("C-234")
def test_vhd_by_vhd_util_in_two_steps_when_it_is_there(builder: Builder) -> None:
    path = stand_in(builder, "vhd-util", """#!/bin/bash
set -eu
echo "vhd-util $*" >> "$RECORD"
while [ $# -gt 0 ]; do case "$1" in -i) from=$2 ;; -o) to=$2 ;; esac; shift; done
[ "$from" = "$to" ] && cp "$from" "$to.bak" || cp "$from" "$to"
""")
    done = builder.run("-t", "vhd,raw", "tiny-os", PATH=path, RECORD=str(builder.out / "record"))
    assert done.returncode == 0, done.stdout
    lines = re.sub(r"/\S+/", "", (builder.out / "record").read_text()).splitlines()
    assert lines == ["vhd-util convert -s 0 -t 1 -i disk.vhd-intermediate -o disk.vhd-intermediate",
                     "vhd-util convert -s 1 -t 2 -i disk.vhd-intermediate -o disk.vhd"]
    assert builder.left() == ["disk.raw", "disk.vhd", "record"]
    tool("cmp", builder.out / "disk.raw", builder.out / "disk.vhd")


DOCKER = """#!/bin/bash
printf '%s\\n' "$*" >> "$RECORD"
cat > "$RECORD.tar"
[ -z "${REFUSES:-}" ] || { echo "no such daemon" >&2; exit 1; }
"""


@pytest.mark.contract("C-234")
def test_docker_gets_a_tar_on_its_stdin(builder: Builder) -> None:
    builder.script("leaves", "install.d/50-leaves", LEAVES)
    done = builder.run("-t", "docker,raw", "--docker-target", "tiny:1", "tiny-os", "leaves",
                       PATH=stand_in(builder, "docker", DOCKER), RECORD=str(builder.out / "record"))
    assert done.returncode == 0, done.stdout
    assert (builder.out / "record").read_text() == "import - tiny:1\n"
    check_tar(members(builder.out / "record.tar", "r:"))
    assert builder.left() == ["disk.raw", "record", "record.tar"]


def test_when_docker_refuses_nothing_is_published(builder: Builder) -> None:
    done = builder.run("-t", "raw,docker", "--docker-target", "tiny:1", "tiny-os", REFUSES="1",
                       PATH=stand_in(builder, "docker", DOCKER), RECORD=str(builder.out / "record"))
    assert done.returncode == 1
    assert "docker did not take the image: no such daemon" in done.stdout
    assert builder.left() == ["record", "record.tar"]


@pytest.mark.contract("C-018")
@pytest.mark.parametrize(("arguments", "environment", "message"), [
    (("-t", "docker"), {}, "--docker-target"),
    (("-t", "docker", "--docker-target=-x"), {}, "'-x' is no name for a docker image"),
    (("-t", "aci"), {"ACI_MANIFEST": "gone.json"}, "ACI_MANIFEST=gone.json"),
    (("-t", "tgz"), {"DIB_GZIP_BIN": "no-such-gzip -9"}, "the program no-such-gzip is not installed"),
    (("-t", "qcow3"), {}, "did you mean qcow"),
])
def test_what_an_output_needs_is_asked_before_the_build(
        builder: Builder, arguments: tuple[str, ...], environment: dict[str, str], message: str) -> None:
    if "docker" in arguments:
        environment = {**environment, "PATH": stand_in(builder, "docker", DOCKER)}
    done = builder.run(*arguments, "tiny-os", **environment)
    assert done.returncode == 1, done.stdout
    assert message in done.stdout
    assert "Building in" not in done.stdout
    assert builder.left() == []


def test_a_directory_in_the_place_of_an_output_is_found_before_the_build(builder: Builder) -> None:
    (builder.out / "disk.raw").mkdir()
    done = builder.run("-t", "qcow2,raw", "tiny-os")
    assert done.returncode == 1
    assert "a directory has the name of an output" in done.stdout
    assert "Building in" not in done.stdout


@pytest.mark.contract("C-234")
def test_an_aci_without_manifest_is_made_with_a_warning(builder: Builder) -> None:
    done = builder.run("-t", "aci", "tiny-os")
    assert done.returncode == 0, done.stdout
    assert "ACI_MANIFEST" in done.stdout
    assert {name.split("/")[0] for name in members(builder.out / "disk.aci", "r:")} == {"rootfs"}


@pytest.mark.contract("C-066", "C-319")
def test_no_final_image_gives_up_the_disk_but_not_the_tree(builder: Builder) -> None:
    builder.script("no-final-image", "README.rst", "switch\n", mode=0o644)
    done = builder.run("-t", "qcow2,tar,raw", "tiny-os", "no-final-image")
    assert done.returncode == 0, done.stdout
    assert builder.left() == ["disk.tar"]


@pytest.mark.contract("C-230", note="outputs belong to whoever called sudo")
def test_outputs_belong_to_the_caller_of_sudo(builder: Builder) -> None:
    done = builder.run("-t", "raw,tar", "--checksum", "tiny-os", SUDO_UID="1234", SUDO_GID="2345")
    assert done.returncode == 0, done.stdout
    assert {(path.stat().st_uid, path.stat().st_gid) for path in builder.out.iterdir()} == {(1234, 2345)}


@pytest.mark.contract("C-235")
def test_every_kind_of_old_output_is_kept_and_never_absent(builder: Builder) -> None:
    for kind in ("tar", "vhd"):
        (builder.out / f"disk.{kind}").write_text("old")
        (builder.out / f"disk.{kind}.md5").write_text("old sum")
    done = builder.run("-t", "tar,vhd", "tiny-os")
    assert done.returncode == 0, done.stdout
    names = [re.sub(r"-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d", "-DATE", name) for name in builder.left()]
    assert names == ["disk-DATE.tar", "disk-DATE.tar.md5", "disk-DATE.vhd", "disk-DATE.vhd.md5", "disk.tar", "disk.vhd"]
