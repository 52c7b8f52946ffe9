"""What tree mode cannot do. Decides only."""

from __future__ import annotations

from collections.abc import Sequence

from pydib.blockdev.filesystem import EXT, FAT
from pydib.blockdev.graph import Graph
from pydib.blockdev.nodes import LocalLoop, Mkfs
from pydib.blockdev.tree.kernel import FILLED_BY_KERNEL, PROGRAM

SECTOR_BYTES = 512
SWAP = "swap"
FILLED = (*EXT, *FAT)
"""Types of filesystem that a tool can fill from a tree."""


def why_not(graph: Graph, *, has_kernel: bool) -> str:
    """What in the configuration tree mode cannot do, as the end of a sentence; empty when it can do all.

    Args:
        has_kernel: whether there is a user-mode Linux, for the types of `kernel.FILLED_BY_KERNEL`.
    """
    if graph.uses_lvm:
        return "the configuration uses LVM, which only the kernel's device-mapper can make"
    for loop in graph.of(LocalLoop):
        if loop.sector_bytes != SECTOR_BYTES:
            return f"{loop.name} has sectors of {loop.sector_bytes} bytes, and files have sectors of {SECTOR_BYTES}"
    mounted = {found.filesystem.name for found in graph.filesystems()}
    for made in graph.of(Mkfs):
        if found := _why_not_options(made, _options(graph, made)):
            return found
        if made.name in mounted and (found := _why_not_filled(made, has_kernel=has_kernel)):
            return found
    return ""


def _options(graph: Graph, made: Mkfs) -> Sequence[str]:
    return graph.root.options if made.options is None else made.options


def _why_not_filled(made: Mkfs, *, has_kernel: bool) -> str:
    if made.type in (*FILLED, SWAP):
        return ""
    if made.type not in FILLED_BY_KERNEL:
        return f"no tool fills {made.type} with all that a tree can hold ({made.name})"
    if not has_kernel:
        return (f"{made.type} ({made.name}) is filled by a user-mode Linux, {PROGRAM}, which is not installed; "
                "Debian's package is user-mode-linux")
    return ""


def _why_not_options(made: Mkfs, options: Sequence[str]) -> str:
    for word in options:
        if made.type in EXT and (word == "-d" or "offset=" in word):
            return f"the options of {made.name} have {word}, which tree mode needs itself"
    return ""
