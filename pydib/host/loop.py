"""Loop devices that end with whoever holds them (Linux: Documentation/ABI/stable/sysfs-block, loop(4)).

A device is bound with the flag *autoclear* and lives for as long as somebody has it open: this process, or a
filesystem mounted from it. When the process ends, even by SIGKILL, the kernel lets go of the file. The flag
*partscan* makes the kernel drop the device's partitions at that moment too, and again when the device is bound
anew, so that no later user of `/dev/loop0` meets partitions of an earlier one.

Partitions are told to the kernel one by one (BLKPG, as `partx` does): this works on kernels without any code
for partition tables.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydib.clock import monotonic
from pydib.errors import BlockDeviceError, ToolMissing

LOOP_CONTROL = Path("/dev/loop-control")
SYS_BLOCK = Path("/sys/class/block")
DEVICES = Path("/dev")

_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_BLKPG = 0x1269
_BLKPG_ADD, _BLKPG_DELETE = 1, 2
_AUTOCLEAR, _PARTSCAN = 4, 8
_TRIES = 64
_RELEASE_SECONDS = 5.0
_DROP_SECONDS = 1.0
_RELEASE_SECONDS_AFTER_FAILURE = 1.0


class _Partition(ctypes.Structure):
    """`struct blkpg_partition`: start and length in bytes."""

    _fields_ = [("start", ctypes.c_longlong), ("length", ctypes.c_longlong), ("number", ctypes.c_int),
                ("device_name", ctypes.c_char * 64), ("volume_name", ctypes.c_char * 64)]


class _Request(ctypes.Structure):
    """`struct blkpg_ioctl_arg`."""

    _fields_ = [("operation", ctypes.c_int), ("flags", ctypes.c_int), ("length", ctypes.c_int),
                ("data", ctypes.c_void_p)]


@contextmanager
def attached(image: Path, *, sector_bytes: int = 512, offset_bytes: int = 0, size_bytes: int = 0) -> Iterator[str]:
    """Keep `image` attached to a loop device for as long as the block lasts, and give the path of the device.

    Args:
        image: a regular file.
        sector_bytes: the logical sector size that the device shows: 512, 1024, 2048 or 4096.
        offset_bytes: where in the file the device begins; a multiple of `sector_bytes`.
        size_bytes: how long the device is; 0 means up to the end of the file.

    Raises:
        ToolMissing: this machine or this user has no loop devices.
        BlockDeviceError: the file cannot be attached, or after an orderly end something still uses the device.
    """
    file = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        device, held = _bind(file, image, sector_bytes, offset_bytes, size_bytes)
    finally:
        os.close(file)
    bound_to = backing_file(device)
    try:
        yield device
    except BaseException:
        os.close(held)
        _is_free_within(_RELEASE_SECONDS_AFTER_FAILURE, device, bound_to)
        raise
    os.close(held)
    if not _is_free_within(_RELEASE_SECONDS, device, bound_to):
        raise BlockDeviceError(f"{device} is still in use", where=bound_to,
                               hint="something mounted it, or has it open: see `findmnt` and `fuser`")


def check_loop_devices() -> None:
    """Whether this process may attach loop devices.

    Raises:
        ToolMissing: with the reason.
    """
    os.close(_open_control())


@contextmanager
def locked(device: str) -> Iterator[None]:
    """Keep udev away from `device`: it re-reads the partition tables of disks that nobody has locked, and takes
    their partitions away for a moment (systemd's BLOCK_DEVICE_LOCKING). What udev has begun is waited for; a lock
    that cannot be had at all is no reason to stop."""
    handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = monotonic() + _RELEASE_SECONDS
        while not _lock(handle) and monotonic() < until:
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def add_partition(device: str, number: int, *, start_bytes: int, size_bytes: int) -> str:
    """Tell the kernel of a partition of `device`, and give the path of the partition's own device.

    Hold the device `locked` meanwhile: udev would take the partition away again.

    Raises:
        OSError: the kernel refuses; EINVAL when it has no partitions on loop devices at all.
    """
    name = f"{Path(device).name}p{number}"
    if not _is_known(name, start_bytes, size_bytes):  # udev or the kernel may have been faster
        _blkpg(device, _BLKPG_ADD, _Partition(start=start_bytes, length=size_bytes, number=number))
    return str(_node(name))


def drop_partitions(device: str) -> None:
    """Make the kernel forget all partitions of `device`; the table on it stays. Those that stay in use stay too;
    udev, who looks at new ones, is waited for."""
    until = monotonic() + _DROP_SECONDS
    while partition_numbers(device):
        for number in partition_numbers(device):
            with suppress(OSError):
                _blkpg(device, _BLKPG_DELETE, _Partition(number=number))
        if monotonic() > until:
            return
        time.sleep(0.005)


def partition_numbers(device: str) -> tuple[int, ...]:
    """The partitions of `device` that the kernel knows, in order."""
    found = (SYS_BLOCK / Path(device).name).glob(f"{Path(device).name}p*/partition")
    return tuple(sorted(int(path.read_text()) for path in found))


def device_bytes(device: str) -> int:
    """Size of a block device (or a file) in bytes."""
    handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.lseek(handle, 0, os.SEEK_END)
    finally:
        os.close(handle)


def backing_file(device: str) -> str:
    """The file behind loop device `device`, as the kernel names it; empty when the device is free."""
    try:
        return (SYS_BLOCK / Path(device).name / "loop" / "backing_file").read_text().rstrip("\n")
    except OSError:
        return ""


def _bind(file: int, image: Path, sector_bytes: int, offset_bytes: int, size_bytes: int) -> tuple[str, int]:
    """Find a free loop device and bind `file` to it. Others look for one at the same time: try again then."""
    control = _open_control()
    try:
        for attempt in range(_TRIES):
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            device = _node(f"loop{number}")
            held = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(held, _LOOP_CONFIGURE, _configuration(file, image, sector_bytes, offset_bytes, size_bytes))
                return str(device), held
            except OSError as problem:
                os.close(held)
                if problem.errno != errno.EBUSY:
                    raise _explained(problem, image) from None
                time.sleep(0.01 * attempt)
    finally:
        os.close(control)
    raise BlockDeviceError("no loop device could be had: others took each free one first", where=str(image),
                           hint="see `losetup -a` for who uses them, and try again")


def _open_control() -> int:
    try:
        return os.open(LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        raise ToolMissing("only root may use loop devices", where=str(LOOP_CONTROL),
                          hint="run as root, for example with sudo") from None
    except OSError as problem:
        raise ToolMissing(f"this machine has no loop devices ({problem.strerror})", where=str(LOOP_CONTROL),
                          hint="load the kernel module: modprobe loop; in a container, allow /dev/loop*") from None


def _explained(problem: OSError, image: Path) -> BlockDeviceError | ToolMissing:
    if problem.errno in (errno.ENOTTY, errno.EINVAL):
        return ToolMissing(f"the kernel cannot bind a loop device in one step ({problem.strerror})", where=str(image),
                           hint="use Linux 5.8 or later, and a sector size from 512 to 4096")
    return BlockDeviceError(f"the image cannot be attached to a loop device: {problem.strerror}", where=str(image),
                            hint="check that the directory's filesystem can hold loop images")


def _configuration(file: int, image: Path, sector_bytes: int, offset_bytes: int, size_bytes: int) -> bytes:
    """`struct loop_config` with its `struct loop_info64` (linux/loop.h)."""
    info = struct.pack("<5Q4I64s64s32s2Q", 0, 0, 0, offset_bytes, size_bytes, 0, 0, 0, _AUTOCLEAR | _PARTSCAN,
                       os.fsencode(image)[:63], b"", b"", 0, 0)
    return struct.pack("<2I", file, sector_bytes) + info + bytes(64)


def _node(name: str) -> Path:
    """`/dev/<name>`, made when it is missing or of another device: a /dev that is not the kernel's own (in a
    container) does not follow it, and numbers of partitions are given out again."""
    node, number = DEVICES / name, _device_number(name)
    if not _is_node_of(node, number):
        node.unlink(missing_ok=True)
        with suppress(FileExistsError):
            os.mknod(node, stat.S_IFBLK | 0o600, number)
    return node


def _is_node_of(node: Path, number: int) -> bool:
    try:
        found = node.stat()
    except FileNotFoundError:
        return False
    return stat.S_ISBLK(found.st_mode) and found.st_rdev == number


def _device_number(name: str) -> int:
    major, minor = (SYS_BLOCK / name / "dev").read_text().split(":")
    return os.makedev(int(major), int(minor))


def _is_known(partition: str, start_bytes: int, size_bytes: int) -> bool:
    """Whether the kernel has exactly this partition. /sys counts in units of 512 bytes, whatever the sectors are."""
    try:
        start, size = (int((SYS_BLOCK / partition / name).read_text()) * 512 for name in ("start", "size"))
    except OSError:
        return False
    return (start, size) == (start_bytes, size_bytes)


def _blkpg(device: str, operation: int, partition: _Partition) -> None:
    request = _Request(operation=operation, length=ctypes.sizeof(partition), data=ctypes.addressof(partition))
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _BLKPG, bytes(request))
    finally:
        os.close(handle)


def _is_free_within(seconds: float, device: str, bound_to: str) -> bool:
    """Whether `device` lets go of its file in time: udev looks at new devices for a moment."""
    until = monotonic() + seconds
    while backing_file(device).removesuffix(" (deleted)") == bound_to:
        if monotonic() > until:
            return False
        time.sleep(0.02)
    return True
