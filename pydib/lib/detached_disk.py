"""A disk that outlives the process that made it: for scripts that call `dib-block-device.py create` and `umount`.

While a build runs, its disk belongs to the build's own process, and goes with it. A script's disk has no such owner.
What holds it are its mounts: a loop device that lets go of its file by itself (autoclear) lives for as long as
something is mounted from it. Only a loop device from which nothing is mounted is told to stay (loop(4)).

Inside a build all of it still ends with the build, whose mount namespace takes the mounts along; but for loop devices
that were told to stay. That happens only where neither device-mapper nor partitions of loop devices exist.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from pydib import blockdev
from pydib.blockdev import Graph
from pydib.blockdev.create.mounts import trim
from pydib.blockdev.nodes import VolumeGroup
from pydib.blockdev.state import (
    Params,
    State,
    devices_of,
    forget,
    load_graph,
    read_state,
    state_dir,
    write_state,
)
from pydib.clock import monotonic
from pydib.errors import BlockDeviceError
from pydib.events import Reporter
from pydib.host.command import run
from pydib.host.loop import backing_file, drop_partitions
from pydib.host.mapper import NO_UDEV, leave_alone
from pydib.host.mount import mounts_below, sync_filesystem, unmount
from pydib.sizes import KIB

_LOOP_SET_STATUS64, _LOOP_GET_STATUS64, _LOOP_CLEAR = 0x4C04, 0x4C05, 0x4C01
_AUTOCLEAR = 4
_PATIENCE_SECONDS = 5.0
_INFO_BYTES, _FLAGS_AT = 232, 52
"""Size of `struct loop_info64`, and where its lo_flags lie (linux/loop.h)."""


def create(params: Params, report: Reporter) -> None:
    """Make and mount the disk that `params` describe, write its state, and leave it all in place.

    The caller must end the process with `os._exit`: an orderly end would take the disk down.

    Raises:
        PydibError: a step failed; everything is given back then, and the image files are removed.
    """
    graph = load_graph(params)
    if params.image_size_kib is None:
        raise BlockDeviceError("the size of the disk is not known", where="image-size in the parameters",
                               hint="add a line such as 'image-size: 2097152KiB'")
    if read_state(state_dir(params.build_dir)) is not None:
        raise BlockDeviceError("there is a disk already", where=str(state_dir(params.build_dir)),
                               hint="take it down with umount and cleanup, or with delete")
    for folder in (params.image_dir, params.mount_base):
        folder.mkdir(parents=True, exist_ok=True)
    assembly = blockdev.assembled(graph, image_dir=params.image_dir, size_bytes=params.image_size_kib * KIB,
                                  mount_base=params.mount_base, report=report)
    disk = assembly.__enter__()
    try:
        write_state(state_dir(params.build_dir), graph, disk, mount_base=params.mount_base, made_by="script")
        _hold(disk.image_block_devices, params.mount_base)
    except BaseException as error:
        forget(state_dir(params.build_dir))
        assembly.__exit__(type(error), error, error.__traceback__)
        raise
    _kept.append(assembly)  # not to be closed by the garbage collector


_kept: list[object] = []


def _hold(devices: Mapping[str, str], mount_base: Path) -> None:
    """Tell the loop devices to stay from which nothing is mounted, and the maps on all of them."""
    sources = [found.source for found in mounts_below(mount_base)]
    for device in devices.values():
        if _loop_of(device) == device:
            leave_alone(device)
            if not any(_loop_of(source) == device for source in sources):
                _set_autoclear(device, on=False)


def _loop_of(device: str) -> str:
    """The loop device to which `device` belongs: itself, its partition, or kpartx's name of a partition; else empty."""
    found = re.fullmatch(r"/dev/(?:mapper/)?(loop\d+)(?:p\d+)?", device)
    return f"/dev/{found[1]}" if found else ""


def _set_autoclear(device: str, *, on: bool) -> None:
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        info = bytearray(_INFO_BYTES)
        fcntl.ioctl(handle, _LOOP_GET_STATUS64, info)
        (flags,) = struct.unpack_from("<I", info, _FLAGS_AT)
        struct.pack_into("<I", info, _FLAGS_AT, flags | _AUTOCLEAR if on else flags & ~_AUTOCLEAR)
        fcntl.ioctl(handle, _LOOP_SET_STATUS64, bytes(info))
    finally:
        os.close(handle)


def take_down(params: Params) -> bool:
    """Unmount and detach a script's disk; the image files stay. False when there is none (C-209).

    Raises:
        BlockDeviceError: something stays busy, or the disk is the build's own.
    """
    state = read_state(state_dir(params.build_dir))
    if state is None:
        return False
    if state.get("made_by") != "script":
        raise BlockDeviceError("this disk belongs to the running build, which takes it down itself",
                               where=str(state_dir(params.build_dir)),
                               hint="leave it alone, or make one of your own with --params")
    _unmount(state, params.mount_base)
    _release(load_graph(params), devices_of(state))
    return True


def _unmount(state: State, mount_base: Path) -> None:
    types = {name: made["fstype"] for name, made in _maps(state, "filesys").items()}
    for point, found in reversed(_maps(state, "mount").items()):
        target = Path(f"{mount_base}{point}")
        if any(mounted.target == target.resolve() for mounted in mounts_below(target)):
            sync_filesystem(target)
            trim(target, types.get(found["base"], ""))
            unmount(target)


def _maps(state: State, key: str) -> dict[str, dict[str, str]]:
    found = state.get(key)
    return found if isinstance(found, dict) else {}


def _release(graph: Graph, devices: Mapping[str, Mapping[str, str]]) -> None:
    """Take away volumes, then partitions, then the loop devices that are still bound to our images."""
    for group in graph.of(VolumeGroup):
        run("vgchange", "-an", group.name, env={**os.environ, **NO_UDEV})
    images = {one["image"] for one in devices.values() if "image" in one}
    names = [one["device"] for one in devices.values()]
    loops = [name for name in names if _loop_of(name) == name and backing_file(name) in images]
    for loop in loops:
        if any(name.startswith("/dev/mapper/") and _loop_of(name) == loop for name in names):
            run("kpartx", "-d", loop, env={**os.environ, **NO_UDEV})
        drop_partitions(loop)
        _detach(loop, images)


def _detach(loop: str, images: Collection[str]) -> None:
    """The kernel lets go of the file when the last one who has the device open closes it, and that may take a moment:
    unmounting is finished in the background."""
    handle = os.open(loop, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # it may have gone by itself just now
            fcntl.ioctl(handle, _LOOP_CLEAR)
    finally:
        os.close(handle)
    until = monotonic() + _PATIENCE_SECONDS
    while backing_file(loop) in images:
        if monotonic() > until:
            raise BlockDeviceError(f"{loop} cannot be detached", where=loop,
                                   hint="something has it open: see `findmnt` and `fuser`")
        time.sleep(0.02)


def delete(params: Params) -> None:
    """Take a script's disk down, and remove its image files and its state.

    Raises:
        BlockDeviceError: as `take_down`; or there is no disk.
    """
    state = read_state(state_dir(params.build_dir))
    take_down(params)
    for one in devices_of(state or {"blockdev": {}}).values():
        if "image" in one:
            Path(one["image"]).unlink(missing_ok=True)
    forget(state_dir(params.build_dir))
