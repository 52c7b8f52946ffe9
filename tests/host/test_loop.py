"""Loop devices: attached for a block, free afterwards, also after SIGKILL."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from pydib.errors import BlockDeviceError, ToolMissing
from pydib.host import loop
from pydib.sizes import MIB


def free_of(image: Path) -> bool:
    devices = Path("/sys/block").glob("loop*")
    return not any(loop.backing_file(f"/dev/{device.name}").startswith(str(image)) for device in devices)


@pytest.fixture
def image(tmp_path):
    if not loop.LOOP_CONTROL.exists():
        pytest.skip("this machine has no loop devices")
    path = tmp_path / "disk image.raw"
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    yield path
    assert free_of(path)


def test_without_loop_devices_the_reason_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "LOOP_CONTROL", tmp_path / "loop-control")
    with pytest.raises(ToolMissing, match="no loop devices") as caught:
        loop.check_loop_devices()
    assert "modprobe loop" in caught.value.hint


def test_an_ordinary_user_is_told_to_be_root(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(loop.os, "open", refuse)
    with pytest.raises(ToolMissing, match="only root"):
        loop.check_loop_devices()


@pytest.mark.machine
def test_what_is_written_to_the_device_is_in_the_file(image):
    with loop.attached(image) as device:
        assert loop.backing_file(device) == str(image)
        assert loop.device_bytes(device) == 16 * MIB
        with Path(device).open("r+b") as file:
            file.seek(5 * MIB)
            file.write(b"hello")
    assert image.read_bytes()[5 * MIB:][:5] == b"hello"


@pytest.mark.machine
def test_offset_and_size_cut_a_piece_out(image):
    with loop.attached(image, offset_bytes=MIB, size_bytes=2 * MIB) as device:
        assert loop.device_bytes(device) == 2 * MIB
        Path(device).write_bytes(b"piece")
    assert image.read_bytes()[MIB:][:5] == b"piece"


@pytest.mark.machine
def test_sectors_can_be_larger(image):
    with loop.attached(image, sector_bytes=4096) as device:
        assert (loop.SYS_BLOCK / Path(device).name / "queue" / "logical_block_size").read_text() == "4096\n"


@pytest.mark.machine
def test_impossible_sectors_are_refused(image):
    with pytest.raises(ToolMissing, match="cannot bind"), loop.attached(image, sector_bytes=300):
        pass


@pytest.mark.machine
def test_the_device_is_free_after_a_failure(image):
    with pytest.raises(RuntimeError), loop.attached(image):
        raise RuntimeError
    assert free_of(image)


@pytest.mark.machine
def test_a_device_that_stays_in_use_is_an_error(image, monkeypatch):
    monkeypatch.setattr(loop, "_RELEASE_SECONDS", 0.1)
    with pytest.raises(BlockDeviceError, match="still in use"), loop.attached(image) as device:
        held = os.open(device, os.O_RDONLY)
    os.close(held)


@pytest.mark.machine
def test_partitions_have_devices_and_vanish_with_the_loop_device(image):
    with loop.attached(image) as device, loop.locked(device):
        part = loop.add_partition(device, 5, start_bytes=MIB, size_bytes=4 * MIB)
        assert part == f"{device}p5"
        assert loop.device_bytes(part) == 4 * MIB
        assert loop.partition_numbers(device) == (5,)
        Path(part).write_bytes(b"inside")
    assert loop.partition_numbers(device) == ()
    assert image.read_bytes()[MIB:][:6] == b"inside"


@pytest.mark.machine
def test_a_lock_waits_for_who_has_it_and_keeps_others_out(image):
    with loop.attached(image) as device:
        other = os.open(device, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_SH)
        threading.Timer(0.2, fcntl.flock, (other, fcntl.LOCK_UN)).start()
        begun = time.monotonic()
        with loop.locked(device):
            assert time.monotonic() - begun >= 0.15
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(other)


@pytest.mark.machine
def test_partitions_can_be_dropped(image):
    with loop.attached(image) as device, loop.locked(device):
        for number in (1, 2):
            loop.add_partition(device, number, start_bytes=number * MIB, size_bytes=MIB)
        loop.drop_partitions(device)
        assert loop.partition_numbers(device) == ()


@pytest.mark.machine
def test_a_partition_the_kernel_knows_already_is_taken_as_it_is(image):
    with loop.attached(image) as device, loop.locked(device):
        first = loop.add_partition(device, 1, start_bytes=MIB, size_bytes=MIB)
        assert loop.add_partition(device, 1, start_bytes=MIB, size_bytes=MIB) == first
        with pytest.raises(OSError, match="busy"):
            loop.add_partition(device, 1, start_bytes=2 * MIB, size_bytes=MIB)


@pytest.mark.machine
def test_stale_partitions_of_an_earlier_owner_are_gone(image):
    with loop.attached(image) as device:
        pass
    subprocess.run(["losetup", device, str(image)], check=True)
    try:
        loop.add_partition(device, 3, start_bytes=MIB, size_bytes=MIB)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)
    if loop.partition_numbers(device) != (3,):
        pytest.skip("another test took the device, or this kernel forgets partitions by itself")
    taken = []
    with ExitStack() as stack:
        while device not in taken and len(taken) < 8:  # take devices until that one comes up
            taken.append(stack.enter_context(loop.attached(image)))
        assert loop.partition_numbers(device) == ()


@pytest.mark.machine
def test_nothing_is_left_when_the_owner_is_killed(image):
    program = ("import sys, time; from pathlib import Path; from pydib.host import loop\n"
               "with loop.attached(Path(sys.argv[1])) as device:\n"
               "    print(loop.add_partition(device, 1, start_bytes=1 << 20, size_bytes=1 << 20), flush=True)\n"
               "    time.sleep(60)\n")
    owner = subprocess.Popen([sys.executable, "-c", program, str(image)], stdout=subprocess.PIPE, text=True)
    part = owner.stdout.readline().strip()
    device = part.removesuffix("p1")
    assert loop.backing_file(device) == str(image)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until = time.monotonic() + 5
    while not free_of(image) and time.monotonic() < until:
        time.sleep(0.02)
    assert free_of(image)
    assert loop.backing_file(device) or loop.partition_numbers(device) == ()


@pytest.mark.machine
def test_a_dev_that_does_not_follow_the_kernel_gets_the_nodes_it_needs(image, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "DEVICES", tmp_path)
    with loop.attached(image) as device, loop.locked(device):
        assert Path(device).parent == tmp_path
        os.mknod(f"{device}p1", stat.S_IFBLK | 0o600, os.makedev(259, 4095))  # left over from somebody else
        part = loop.add_partition(device, 1, start_bytes=MIB, size_bytes=MIB)
        assert loop.device_bytes(part) == MIB


@pytest.mark.machine
def test_many_at_once_each_get_their_own(image, tmp_path):
    copies = []
    for number in range(6):
        copies.append(tmp_path / f"{number}.raw")
        with copies[-1].open("wb") as file:
            file.truncate(MIB)

    def write(path):
        with loop.attached(path) as device:
            Path(device).write_bytes(path.name.encode())

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, copies * 3))
    assert all(path.read_bytes().startswith(path.name.encode()) for path in copies)
