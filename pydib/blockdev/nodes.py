"""What a block-device configuration is made of: one frozen class per module (contract C-210, C-215 to C-222).

Sizes are bytes, unless they are text because they can be a percentage. `where` tells where in the configuration a
node was written; it does not count when nodes are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

TableLabel = Literal["mbr", "gpt"]
VolumeKind = Literal["linear", "thin", "thin-pool"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """Something with a name that others can stand on."""

    name: str
    where: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class LocalLoop(Node):
    """A disk image in a file (C-215). `size_bytes` None: as large as the build decides. `directory` None: the
    build's image directory."""

    size_bytes: int | None = None
    directory: Path | None = None
    sector_bytes: int = 512


@dataclass(frozen=True, kw_only=True)
class Partition(Node):
    """One entry of a partition table (C-216). `size` is text: a size, or a percentage of the room still left.

    `type` is two hexadecimal digits for mbr, a GUID in capitals for gpt. `identifier` is its GUID in a gpt; empty: any.
    """

    size: str
    type: str
    bootable: bool = False
    primary: bool = False
    identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class Partitioning(Node):
    """A partition table on the image `base`. Its name is `table` and the one it was given: DIB has no node for it, so
    a partition may have the same. `identifier` names the disk: eight hexadecimal digits for mbr, a GUID for gpt; empty:
    any."""

    base: str
    label: TableLabel
    align_bytes: int
    partitions: tuple[Partition, ...]
    identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class PhysicalVolume(Node):
    """An LVM physical volume on the device `base` (C-219)."""

    base: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VolumeGroup(Node):
    """An LVM volume group of the physical volumes `bases`."""

    bases: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LogicalVolume(Node):
    """An LVM logical volume in the group `base`; either `size_bytes` or `extents` (as `lvcreate -l`) is set."""

    base: str
    size_bytes: int | None = None
    extents: str = ""
    kind: VolumeKind = "linear"
    thin_pool: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mkfs(Node):
    """A filesystem, or swap, on the device `base` (C-220).

    In a finished graph type, label and options are set; options None means that the engine chooses them when it
    knows the size (only for the root filesystem, C-225). `hash_seed` is the UUID that ext filesystems hash names with;
    empty: any.
    """

    base: str
    type: str = ""
    label: str = ""
    options: tuple[str, ...] | None = None
    uuid: str = ""
    hash_seed: str = ""


@dataclass(frozen=True, kw_only=True)
class Mount(Node):
    """The filesystem `base` mounted at the absolute path `mount_point` of the image (C-221); `none` for swap."""

    base: str
    mount_point: str


@dataclass(frozen=True, kw_only=True)
class Fstab(Node):
    """A line of /etc/fstab for the mount `base` (C-222)."""

    base: str
    options: str = "defaults"
    dump_freq: int = 0
    fsck_passno: int = 2


DEVICES = (LocalLoop, Partition, LogicalVolume)
"""Nodes that are a block device, on which a filesystem or a physical volume can be made."""


def bases_of(node: Node) -> tuple[str, ...]:
    """Names of the nodes on which `node` stands."""
    if isinstance(node, VolumeGroup):
        return node.bases
    if isinstance(node, LogicalVolume) and node.thin_pool:
        return (node.base, node.thin_pool)
    base = getattr(node, "base", "")
    return (base,) if base else ()
