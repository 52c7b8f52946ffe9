"""Whether this machine can assemble a graph, asked before anything is made."""

from __future__ import annotations

import os
from pathlib import Path

from pydib.blockdev.filesystem import EXT, FAT
from pydib.blockdev.graph import Graph
from pydib.blockdev.nodes import Partitioning
from pydib.blockdev.tree.kernel import FILLED_BY_KERNEL, PROGRAM
from pydib.errors import ToolMissing
from pydib.host.command import find_tool, require_tool, run
from pydib.host.loop import check_loop_devices
from pydib.host.mapper import has_device_mapper

LVM_TOOLS = ("pvcreate", "vgcreate", "lvcreate", "vgchange")
FILESYSTEMS = Path("/proc/filesystems")
MODULES = Path("/proc/modules")


def check_machine(graph: Graph, *, devices: bool = True) -> None:
    """Whether `graph` can be made here.

    Args:
        devices: whether real block devices are used (device mode); without, only the tools that make filesystems
            and partition tables are looked for.

    Raises:
        ToolMissing: the first thing that is missing, and what to do.
    """
    for tool in graph.tools:
        require_tool(tool, why="the block-device configuration needs it")
    if graph.of(Partitioning):
        require_tool("sfdisk", why="it writes the partition table")
    if devices:
        _check_devices(graph)
    else:
        _check_tree_tools(graph)


def _check_devices(graph: Graph) -> None:
    check_loop_devices()
    if graph.uses_lvm:
        _check_lvm()
    for fs_type in sorted({found.filesystem.type for found in graph.filesystems()} - {"swap"}):
        if not can_mount(fs_type):
            raise ToolMissing(f"this kernel cannot mount {fs_type}", where="the block-device configuration",
                              hint=f"load the kernel's module for {fs_type}, or run on a kernel that has it")


def _check_tree_tools(graph: Graph) -> None:
    types = {found.filesystem.type for found in graph.filesystems()}
    for tool, some in (("debugfs", EXT), ("mcopy", FAT), (PROGRAM, FILLED_BY_KERNEL), ("tar", FILLED_BY_KERNEL)):
        if types & set(some):
            require_tool(tool, why="it puts the tree into filesystems")


def _check_lvm() -> None:
    if not has_device_mapper():
        raise ToolMissing("LVM needs device-mapper, which this kernel does not have, or not for this user",
                          where="/dev/mapper/control", hint="run as root on a kernel with the module dm-mod")
    for tool in LVM_TOOLS:
        require_tool(tool, why="the block-device configuration uses LVM")


def can_mount(fs_type: str) -> bool:
    """Whether the kernel knows that type of filesystem, or may load a module for it."""
    known = {line.split()[-1] for line in FILESYSTEMS.read_text().splitlines() if line.strip()}
    names = {"fat": "vfat", "msdos": "vfat"}
    wanted = names.get(fs_type, fs_type)
    if wanted in known:
        return True
    return MODULES.exists() and _has_module(wanted)


def _has_module(fs_type: str) -> bool:
    """Ask modprobe. In a container without the kernel's modules nobody can tell: mount will try."""
    if not (Path("/lib/modules") / os.uname().release).is_dir() or not find_tool("modprobe"):
        return True
    return run("modprobe", "--dry-run", "--show-depends", f"fs-{fs_type}", accept=(0, 1)) != ""
