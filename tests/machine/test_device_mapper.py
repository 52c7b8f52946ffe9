"""Builds on device-mapper: partitions mapped by kpartx, LVM; and what is left of them, also after SIGKILL.

Where the kernel has no device-mapper, tests/boot/test_guest.py runs this file in a virtual machine that has.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydib.host.loop import attached
from pydib.host.mapper import has_device_mapper
from tests.machine.conftest import Builder

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(not has_device_mapper(), reason="this kernel has no device-mapper"),
    pytest.mark.skipif(not shutil.which("kpartx") or not shutil.which("lvcreate"),
                       reason="kpartx or lvm2 is not installed"),
]

LAYOUTS = {
    "mbr": """
- local_loop: {name: image0, size: 300MiB}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: root
        flags: [boot, primary]
        size: 200MiB
        mkfs: {mount: {mount_point: /, fstab: {options: defaults}}}
      - name: logical
        size: 100%
        mkfs: {type: ext3, mount: {mount_point: /srv}}
""",
    "gpt": """
- local_loop: {name: image0, size: 300MiB}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: ESP
        type: EF00
        size: 40MiB
        mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: {options: defaults}}}
      - name: root
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {options: defaults}}}
""",
    "lvm": """
- local_loop: {name: image0, size: 500MiB}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: boot, size: 60MiB, mkfs: {type: ext2, mount: {mount_point: /boot}}}
      - {name: one, size: 300MiB}
      - {name: two, size: 100%}
- lvm:
    name: lvm
    pvs: [{name: pv1, base: one}, {name: pv2, base: two}]
    vgs: [{name: NAME, base: [pv1, pv2]}]
    lvs:
      - {name: lv_root, base: NAME, size: 200MiB}
      - {name: lv-swap, base: NAME, size: 16MiB}
      - {name: pool, base: NAME, size: 64MiB, type: thin-pool}
      - {name: lv_thin, base: NAME, size: 400MiB, type: thin, thin-pool: pool}
- mkfs: {name: mkfs_root, base: lv_root, mount: {mount_point: /, fstab: {options: defaults}}}
- mkfs: {name: swap, base: lv-swap, type: swap, mount: {mount_point: swap, fstab: {options: sw}}}
- mkfs: {name: thin, base: lv_thin, type: ext4, mount: {mount_point: /var, fstab: {options: defaults}}}
""",
    "lvm without partitions": """
- local_loop: {name: image0, size: 300MiB}
- lvm:
    name: lvm
    pvs: [{name: pv1, base: image0}]
    vgs: [{name: NAME, base: [pv1]}]
    lvs: [{name: lv_root, base: NAME, extents: 100%FREE}]
- mkfs: {name: mkfs_root, base: lv_root, mount: {mount_point: /, fstab: {options: defaults}}}
""",
}
GROUP = f"pydib-{os.getpid()}"
OURS = re.compile(rf"loop\d+p\d+|{GROUP.replace('-', '--')}-.*")
FSCK = ("e2fsck", "-fn")
CHECK = {"ext2": FSCK, "ext3": FSCK, "ext4": FSCK, "vfat": ("fsck.vfat", "-n")}


def said(*argv: str | Path, **options: object) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout  # type: ignore[call-overload]


def maps() -> list[str]:
    """The maps that builds of these tests make."""
    return [name for name in (line.split()[0] for line in said("dmsetup", "ls").splitlines()) if OURS.fullmatch(name)]


def loops() -> list[str]:
    return [line.split()[0] for line in said("losetup", "--all").splitlines()]


def left() -> list[str]:
    """Whatever LVM and kpartx can leave of it: maps, their nodes and links, volume groups."""
    nodes = [node.name for node in Path("/dev/mapper").iterdir() if OURS.fullmatch(node.name)]
    links = [str(path) for path in Path("/dev").glob(f"{GROUP}*")]
    groups = [name for name in said("vgs", "--noheadings", "-o", "name").split() if name == GROUP]
    return [*maps(), *nodes, *links, *groups]


def eventually(done: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.05)
    assert done()


@pytest.fixture
def bench(builder: Builder) -> Iterator[Builder]:
    """A builder; afterwards nothing is left of its builds in the kernel, nor in /dev."""
    before = loops()
    yield builder
    eventually(lambda: loops() == before)
    assert left() == []


def settings(layout: str, mapper: str) -> dict[str, str]:
    return {"DIB_BLOCK_DEVICE_CONFIG": LAYOUTS[layout].replace("NAME", GROUP), "DIB_PARTITION_MAPPER": mapper,
            "DIB_JOURNAL_SIZE": "4", "DIB_ASSEMBLE": "device"}


def volumes(image: Path) -> Iterator[tuple[str, str]]:
    """Type and device of each filesystem of a disk, found by tools that are not ours."""
    lvm = ("--config", "devices/use_devicesfile=0", GROUP)
    with attached(image) as device:
        subprocess.run(["partx", "--update", device], check=False, capture_output=True)  # it may have none
        subprocess.run(["vgchange", "-ay", *lvm], check=False, capture_output=True)
        try:
            for name in said("lsblk", "--list", "--noheadings", "--paths", "-o", "NAME", device).split():
                probed = subprocess.run(["blkid", "--probe", "-o", "value", "-s", "TYPE", name], check=False, text=True,
                                        capture_output=True)
                if kind := probed.stdout.strip():
                    yield kind, name
        finally:
            subprocess.run(["vgchange", "-an", *lvm], check=False, capture_output=True)
            subprocess.run(["partx", "--delete", device], check=False, capture_output=True)


@pytest.mark.contract("C-217", "C-219")
@pytest.mark.parametrize(("layout", "mapper", "found"), [
    ("mbr", "kpartx", ["ext3", "ext4"]),
    ("gpt", "kpartx", ["ext4", "vfat"]),
    ("lvm", "kpartx", ["LVM2_member", "LVM2_member", "ext2", "ext4", "ext4", "swap"]),
    ("lvm", "", ["LVM2_member", "LVM2_member", "ext2", "ext4", "ext4", "swap"]),
    ("lvm without partitions", "", ["LVM2_member", "ext4"]),
])
def test_a_disk_is_built_and_its_filesystems_are_clean(bench: Builder, layout: str, mapper: str,
                                                       found: list[str]) -> None:
    done = bench.run("-t", "raw", "tiny-os", **settings(layout, mapper))
    assert done.returncode == 0, done.stdout
    if mapper:
        assert "are mapped by kpartx" in done.stdout
    kinds = []
    for kind, device in volumes(bench.out / "disk.raw"):
        kinds.append(kind)
        if kind in CHECK:
            said(*CHECK[kind], device)
    assert sorted(set(kinds)) == sorted(set(found))


def test_scripts_get_the_mapped_devices(bench: Builder) -> None:
    bench.script("show", "finalise.d/50-show", '#!/bin/sh\necho "devices: $IMAGE_BLOCK_DEVICES"\n')
    done = bench.run("-t", "raw", "tiny-os", "show", **settings("gpt", "kpartx"))
    assert done.returncode == 0, done.stdout
    shown = next(line for line in done.stdout.splitlines() if line.startswith("devices: "))
    assert "[root]=/dev/mapper/loop" in shown


def start(bench: Builder, where: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Begin a build that stops in a script of phase `where`, and wait until it is there."""
    bench.script("waits", f"{where}.d/50-wait", f"#!/bin/sh\ntouch {bench.out}/here\nexec sleep 300\n")
    bench.environment |= environment
    build = bench.start("-t", "raw", "tiny-os", "waits", *arguments)
    eventually((bench.out / "here").exists, 120)
    (bench.out / "here").unlink()
    return build


def kill(build: subprocess.Popen[str]) -> None:
    build.send_signal(signal.SIGKILL)
    build.communicate()


@pytest.mark.contract("C-285", verdict="bettered", note="the kernel removes maps and volumes with the build")
@pytest.mark.parametrize(("layout", "mapper"), [
    ("mbr", "kpartx"), ("lvm", "kpartx"), ("lvm", ""), ("lvm without partitions", "")])
def test_a_build_that_is_killed_takes_its_maps_along(bench: Builder, layout: str, mapper: str) -> None:
    build = start(bench, "pre-finalise", **settings(layout, mapper))
    during, held = maps(), loops()
    kill(build)
    assert during
    eventually(lambda: maps() == [])
    eventually(lambda: len(loops()) < len(held))
    again = bench.run("-t", "raw", "tiny-os", **settings(layout, mapper))
    assert again.returncode == 0, again.stdout


@pytest.fixture
def slow_dmsetup(tmp_path: Path) -> Path:
    """A folder with a dmsetup that never gets to telling the kernel when to remove a map."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "dmsetup").write_text('#!/bin/sh\n[ "$2" = --deferred ] || exec /sbin/dmsetup "$@"\nexec sleep 300\n')
    (folder / "dmsetup").chmod(0o755)
    return folder


@pytest.mark.parametrize(("layout", "mapper"), [("mbr", "kpartx"), ("lvm", "kpartx")])
def test_what_a_build_leaves_that_is_killed_while_it_makes_maps_goes_with_the_next(
        bench: Builder, slow_dmsetup: Path, layout: str, mapper: str) -> None:
    path = bench.environment["PATH"]
    bench.environment |= {**settings(layout, mapper), "PATH": f"{slow_dmsetup}:{path}"}
    build = bench.start("-t", "raw", "tiny-os")
    eventually(maps, 120)
    time.sleep(1)
    kill(build)
    assert maps()
    bench.environment["PATH"] = path
    done = bench.run("-t", "raw", "tiny-os", DIB_BLOCK_DEVICE_CONFIG="", DIB_PARTITION_MAPPER="")
    assert done.returncode == 0, done.stdout


def test_another_build_leaves_a_living_one_alone(bench: Builder) -> None:
    build = start(bench, "pre-finalise", **settings("lvm", "kpartx"))
    before = maps()
    second = bench.run("-o", f"{bench.out}/second", "-t", "raw", "tiny-os",
                       DIB_BLOCK_DEVICE_CONFIG=LAYOUTS["mbr"])
    after = maps()
    kill(build)
    assert second.returncode == 0, second.stdout
    assert before == after
    eventually(lambda: maps() == [])
    assert bench.run("-t", "raw", "tiny-os", **settings("mbr", "")).returncode == 0


def test_a_map_that_is_in_use_stays_and_the_next_build_says_so(bench: Builder, slow_dmsetup: Path) -> None:
    path = bench.environment["PATH"]
    bench.environment |= {**settings("mbr", "kpartx"), "PATH": f"{slow_dmsetup}:{path}"}
    build = bench.start("-t", "raw", "tiny-os")
    eventually(maps, 120)
    time.sleep(1)
    name = maps()[0]
    with Path(f"/dev/mapper/{name}").open("rb"):
        kill(build)
        bench.environment["PATH"] = path
        done = bench.run("-t", "raw", "tiny-os", DIB_BLOCK_DEVICE_CONFIG="", DIB_PARTITION_MAPPER="")
        assert done.returncode == 0, done.stdout
        assert f"a build that was killed left {name}" in done.stdout
    done = bench.run("-t", "raw", "tiny-os", DIB_BLOCK_DEVICE_CONFIG="", DIB_PARTITION_MAPPER="")
    assert done.returncode == 0, done.stdout
    assert "a build that was killed left" not in done.stdout
