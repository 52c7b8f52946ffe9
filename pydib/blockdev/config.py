"""From the text of a block-device configuration to typed nodes (contract C-210 to C-222). Pure."""

from __future__ import annotations

import posixpath
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pydib.blockdev.document import Entry, Map, checked_name, entries
from pydib.blockdev.fields import Fields
from pydib.blockdev.gpt_types import GPT_TYPES
from pydib.blockdev.nodes import (
    Fstab,
    LocalLoop,
    LogicalVolume,
    Mkfs,
    Mount,
    Node,
    Partition,
    Partitioning,
    PhysicalVolume,
    TableLabel,
    VolumeGroup,
    VolumeKind,
)
from pydib.errors import BlockDeviceConfigError
from pydib.sizes import MIB

SECTOR_SIZES = (512, 1024, 2048, 4096)
LVM_EXTENT_BYTES = 4 * MIB
_TYPE_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")
_FSTAB_WORD = re.compile(r"[^\s#]+")
_VOLUME_KINDS: dict[str, VolumeKind] = {"": "linear", "thin": "thin", "thin-pool": "thin-pool"}
_TABLES: dict[str, TableLabel] = {"mbr": "mbr", "gpt": "gpt"}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nodes in the order of the configuration, and what a user should be told about it."""

    nodes: tuple[Node, ...]
    warnings: tuple[str, ...] = ()


def parse(text: str, *, where: str, sector_bytes: int | None = None) -> Config:
    """The nodes of a configuration.

    Args:
        text: YAML, in tree form, digraph form or both (C-211).
        where: what to call it in errors, for example its path.
        sector_bytes: DIB_BLOCK_SIZE; goes before what the configuration says (C-215).

    Raises:
        BlockDeviceConfigError: with the line and the node.
    """
    warnings: list[str] = []
    nodes: list[Node] = []
    for entry in entries(text, where=where):
        fields = Fields(entry.fields, entry.where, warnings)
        nodes += _READERS[entry.module](entry, fields, sector_bytes)
        fields.finish()
    return Config(nodes=tuple(nodes), warnings=tuple(warnings))


def _local_loop(entry: Entry, fields: Fields, sector_bytes: int | None) -> list[Node]:
    wanted = sector_bytes or fields.number("block_size", 512)
    fields.text("block_size", "")
    if wanted not in SECTOR_SIZES:
        raise fields.error(f"{wanted} bytes cannot be a sector size",
                           hint=f"block_size (or DIB_BLOCK_SIZE) is one of {', '.join(map(str, SECTOR_SIZES))}")
    directory = fields.text("directory", "")
    size = fields.size("size")
    if size is not None and size < wanted:
        raise fields.error("the image would be empty", hint="give a size such as '4GiB'")
    return [LocalLoop(name=entry.name, where=entry.where, size_bytes=size, sector_bytes=wanted,
                      directory=Path(directory) if directory else None)]


def _partitioning(entry: Entry, fields: Fields, _: int | None) -> list[Node]:
    label = _TABLES.get(fields.text("label"))
    if label is None:
        raise fields.error(f"there is no partition table of kind {fields.text('label')!r}", hint="label is mbr or gpt")
    align = fields.size("align", MIB) or 0
    if align <= 0 or align % 512:
        raise fields.error(f"partitions cannot be aligned to {align} bytes",
                           hint="give a multiple of 512B, such as 1MiB")
    partitions = tuple(_partition(item, entry, fields, label) for item in fields.maps("partitions"))
    if label == "mbr":
        _check_mbr_order(partitions, fields)
    return [Partitioning(name=f"table {entry.name}", where=entry.where, base=_base(entry, fields), label=label,
                         align_bytes=align, partitions=partitions), *partitions]


def _partition(item: Map, entry: Entry, table: Fields, label: TableLabel) -> Partition:
    fields = table.nested(item, "partition")
    name = checked_name(item.get("name"), fields.where)
    flags = fields.words("flags") or ()
    unknown = sorted(set(flags) - {"boot", "primary"})
    if unknown:
        raise fields.error(f"there is no flag {unknown[0]!r}", hint="flags are boot and primary")
    if label == "gpt" and "primary" in flags:
        raise fields.error("a partition of a gpt cannot be primary", hint="remove the flag")
    size = fields.text("size")
    fields.parsed_size(size, whole=100)
    read_type = _mbr_type if label == "mbr" else _gpt_type
    done = Partition(name=name, where=fields.where, size=size, bootable="boot" in flags,
                     primary="primary" in flags, type=read_type(fields))
    fields.finish()
    return done


def _mbr_type(fields: Fields) -> str:
    text = fields.text("type", "83").lower().removeprefix("0x")
    if not re.fullmatch(r"[0-9a-f]{1,2}", text) or int(text, 16) == 0:
        raise fields.error(f"{fields.text('type')!r} is not a partition type of an mbr",
                           hint="give a hexadecimal number from 0x01 to 0xff, for Linux 0x83")
    return f"{int(text, 16):02x}"


def _gpt_type(fields: Fields) -> str:
    text = fields.text("type", "8300")
    code = text.lower().removeprefix("0x").upper()
    if code in GPT_TYPES:
        return GPT_TYPES[code]
    try:
        return str(uuid.UUID(text)).upper()
    except ValueError:
        raise fields.error(f"{text!r} is not a partition type that is known for gpt",
                           hint="give a code of sgdisk, such as 8300 or EF00, or the type's GUID") from None


def _check_mbr_order(partitions: Sequence[Partition], fields: Fields) -> None:
    primary = [partition.primary for partition in partitions]
    if primary != sorted(primary, reverse=True):
        late = next(later for earlier, later in pairwise(partitions)
                    if later.primary and not earlier.primary)
        raise fields.error(f"primary partition {late.name} comes after a logical one",
                           hint="list all primary partitions first")
    slots = sum(primary) + (not all(primary))
    if slots > 4:
        raise fields.error(f"{sum(primary)} primary partitions do not fit into an mbr",
                           hint="an mbr has four places, one of which the logical partitions need; or use label: gpt")


def _lvm(entry: Entry, fields: Fields, _: int | None) -> list[Node]:
    volumes: list[Node] = [_physical_volume(fields.nested(item, "physical volume")) for item in fields.maps("pvs")]
    volumes += [_volume_group(fields.nested(item, "volume group")) for item in fields.maps("vgs")]
    return volumes + [_logical_volume(fields.nested(item, "logical volume")) for item in fields.maps("lvs")]


def _physical_volume(fields: Fields) -> PhysicalVolume:
    name = checked_name(fields.text("name"), fields.where)
    volume = PhysicalVolume(name=name, where=fields.where, base=fields.text("base"),
                            options=fields.words("options") or ())
    fields.finish()
    return volume


def _volume_group(fields: Fields) -> VolumeGroup:
    name = _volume_name(fields)
    group = VolumeGroup(name=name, where=fields.where, bases=fields.words("base") or (),
                        options=fields.words("options") or ())
    if not group.bases:
        raise fields.error(f"volume group {name} has no physical volume", hint="add 'base: [pv]'")
    fields.finish()
    return group


def _logical_volume(fields: Fields) -> LogicalVolume:
    name = _volume_name(fields)
    size, extents, kind = fields.size("size"), fields.text("extents", ""), fields.text("type", "")
    if (size is None) == (not extents):
        raise fields.error(f"logical volume {name} needs either a size or extents", hint="for example 'size: 2GiB'")
    if kind not in _VOLUME_KINDS:
        raise fields.error(f"there is no logical volume of type {kind!r}",
                           hint="type is thin or thin-pool, or left out")
    pool = fields.text("thin-pool", "")
    if (kind == "thin") != bool(pool):
        raise fields.error(f"logical volume {name}: type thin and the key thin-pool go together",
                           hint="give both, or neither")
    if size is not None and size < LVM_EXTENT_BYTES:
        raise fields.error(f"logical volume {name} is smaller than one extent of 4 MiB", hint="make it larger")
    volume = LogicalVolume(name=name, where=fields.where, base=fields.text("base"), thin_pool=pool,
                           size_bytes=None if size is None else size - size % LVM_EXTENT_BYTES, extents=extents,
                           kind=_VOLUME_KINDS[kind], options=fields.words("options") or ())
    fields.finish()
    return volume


def _volume_name(fields: Fields) -> str:
    """A name that is legal in LVM (lvm(8), VALID NAMES)."""
    name = checked_name(fields.text("name"), fields.where)
    if not re.fullmatch(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*", name) or name in (".", ".."):
        raise fields.error(f"{name!r} cannot be a name in LVM", hint="use letters, digits and + _ . -")
    return name


def _mkfs(entry: Entry, fields: Fields, _: int | None) -> list[Node]:
    kind = fields.text("type", "")
    if kind and not _TYPE_NAME.fullmatch(kind):
        raise fields.error(f"{kind!r} is not a type of filesystem", hint="for example ext4, xfs, btrfs, vfat or swap")
    label = fields.text("label", "")
    if not label.isprintable():
        raise fields.error("the label has characters that cannot be printed", hint="use plain text")
    return [Mkfs(name=entry.name, where=entry.where, base=_base(entry, fields), type=kind, label=label,
                 options=fields.words("opts"), uuid=fields.text("uuid", ""))]


def _mount(entry: Entry, fields: Fields, _: int | None) -> list[Node]:
    return [Mount(name=entry.name, where=entry.where, base=_base(entry, fields),
                  mount_point=fields.text("mount_point"))]


def mount_point_path(text: str, where: str) -> str:
    """`text` as an absolute path without double or final slashes.

    >>> mount_point_path("/boot//efi/", "here")
    '/boot/efi'

    Raises:
        BlockDeviceConfigError: relative, with `..`, or with characters that DIB_MOUNTPOINTS cannot carry.
    """
    if not text.startswith("/") or ".." in text.split("/") or "|" in text or not text.isprintable():
        raise BlockDeviceConfigError(f"{text!r} cannot be a mount point", where=where,
                                     hint="give an absolute path without '..' and '|'")
    return "/" + posixpath.normpath(text).lstrip("/")


def _fstab(entry: Entry, fields: Fields, _: int | None) -> list[Node]:
    options = fields.text("options", "defaults")
    if not _FSTAB_WORD.fullmatch(options):
        raise fields.error(f"{options!r} cannot be options in fstab", hint="separate options by commas, without blanks")
    return [Fstab(name=entry.name, where=entry.where, base=_base(entry, fields), options=options,
                  dump_freq=fields.number("dump-freq", 0), fsck_passno=fields.number("fsck-passno", 2))]


def _base(entry: Entry, fields: Fields) -> str:
    if not entry.base:
        raise fields.error("'base' is missing", hint="add 'base: NAME', or nest this in what it stands on")
    return entry.base


_READERS = {"local_loop": _local_loop, "partitioning": _partitioning, "lvm": _lvm, "mkfs": _mkfs, "mount": _mount,
            "fstab": _fstab}
