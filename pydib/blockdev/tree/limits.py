"""What tree mode cannot do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pydib.blockdev.filesystem import EXT, FAT
from pydib.blockdev.graph import Graph
from pydib.blockdev.nodes import LocalLoop, Mkfs

SECTOR_BYTES = 512
SWAP = "swap"
FILLED = (*EXT, *FAT)
"""Types of filesystem that a tool can fill from a tree."""


def why_not(graph: Graph) -> str:
    """What in the configuration tree mode cannot do, as the end of a sentence; empty when it can do all."""
    if graph.uses_lvm:
        return "the configuration uses LVM, which only the kernel's device-mapper can make"
    for loop in graph.of(LocalLoop):
        if loop.sector_bytes != SECTOR_BYTES:
            return f"{loop.name} has sectors of {loop.sector_bytes} bytes, and files have sectors of {SECTOR_BYTES}"
    mounted = {found.filesystem.name for found in graph.filesystems()}
    for made in graph.of(Mkfs):
        if found := _why_not_filesystem(made, is_mounted=made.name in mounted, options=_options(graph, made)):
            return found
    return ""


def _options(graph: Graph, made: Mkfs) -> Sequence[str]:
    return graph.root.options if made.options is None else made.options


def _why_not_filesystem(made: Mkfs, *, is_mounted: bool, options: Sequence[str]) -> str:
    if is_mounted and made.type not in (*FILLED, SWAP):
        return f"no tool makes {made.type} with all that a tree can hold ({made.name})"
    for word in options:
        if made.type in EXT and (word == "-d" or "offset=" in word):
            return f"the options of {made.name} have {word}, which tree mode needs itself"
    return ""
