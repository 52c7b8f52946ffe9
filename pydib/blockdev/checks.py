"""What must hold between the nodes of a configuration (contract C-212, C-219 to C-222). Pure.

Each check raises BlockDeviceConfigError with the place of the node that is wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from pydib.blockdev.nodes import (
    DEVICES,
    Fstab,
    LocalLoop,
    LogicalVolume,
    Mkfs,
    Mount,
    Node,
    Partitioning,
    PhysicalVolume,
    VolumeGroup,
    bases_of,
)
from pydib.errors import BlockDeviceConfigError

_STANDS_ON: Mapping[type[Node], tuple[tuple[type[Node], ...], str]] = {
    Partitioning: ((LocalLoop,), "an image (local_loop)"),
    PhysicalVolume: (DEVICES, "an image, a partition or a logical volume"),
    VolumeGroup: ((PhysicalVolume,), "physical volumes"),
    LogicalVolume: ((VolumeGroup, LogicalVolume), "a volume group"),
    Mkfs: (DEVICES, "an image, a partition or a logical volume"),
    Mount: ((Mkfs,), "a filesystem (mkfs)"),
    Fstab: ((Mount,), "a mount"),
}


def by_name(nodes: Sequence[Node]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in nodes:
        if node.name in found:
            raise BlockDeviceConfigError(f"the name {node.name!r} is there twice, first in {found[node.name].where}",
                                         where=node.where, hint="give one of them another 'name:'")
        found[node.name] = node
    return found


def check_bases(nodes: Sequence[Node], by_name: Mapping[str, Node]) -> None:
    for node in nodes:
        allowed, words = _STANDS_ON.get(type(node), ((), ""))
        for base in bases_of(node):
            if base not in by_name:
                raise _missing_base(node, base, by_name)
            if not isinstance(by_name[base], allowed):
                raise BlockDeviceConfigError(f"{node.name} cannot stand on {base}, which is not {words}",
                                             where=node.where, hint=f"let 'base:' name {words}")
        if isinstance(node, LogicalVolume):
            _check_volume(node, by_name)


def _missing_base(node: Node, base: str, by_name: Mapping[str, Node]) -> BlockDeviceConfigError:
    close = difflib.get_close_matches(base, by_name, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"nodes are: {', '.join(by_name)}"
    return BlockDeviceConfigError(f"{node.name} stands on {base!r}, which does not exist", where=node.where, hint=hint)


def _check_volume(node: LogicalVolume, by_name: Mapping[str, Node]) -> None:
    pool = by_name.get(node.thin_pool)
    if not isinstance(by_name[node.base], VolumeGroup):
        raise BlockDeviceConfigError(f"{node.name} cannot stand on {node.base}, which is not a volume group",
                                     where=node.where, hint="let 'base:' name one of vgs")
    if node.thin_pool and not (isinstance(pool, LogicalVolume) and pool.kind == "thin-pool"):
        raise BlockDeviceConfigError(f"{node.thin_pool!r} is not a thin pool", where=node.where,
                                     hint="give the pool 'type: thin-pool'")


def check_sharing(nodes: Sequence[Node]) -> None:
    """Each device carries one thing: a table, a filesystem or a physical volume."""
    users: dict[str, Node] = {}
    for node in nodes:
        if isinstance(node, (Partitioning, Mkfs, PhysicalVolume)):
            if node.base in users:
                raise BlockDeviceConfigError(f"{users[node.base].name} and {node.name} would both be on {node.base}",
                                             where=node.where, hint="give each its own partition")
            users[node.base] = node


def check_labels(nodes: Iterable[Node]) -> None:
    seen: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, Mkfs):
            if node.label in seen:
                raise BlockDeviceConfigError(f"{seen[node.label]} and {node.name} have the same label {node.label!r}",
                                             where=node.where, hint="labels are how fstab finds them: change one")
            seen[node.label] = node.name


def check_mounts(nodes: Iterable[Node]) -> None:
    points: dict[str, str] = {}
    lines: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, Mount) and node.mount_point.startswith("/"):
            if node.mount_point in points:
                raise BlockDeviceConfigError(
                    f"{points[node.mount_point]} and {node.name} have the same mount point {node.mount_point}",
                    where=node.where, hint="give each filesystem its own")
            points[node.mount_point] = node.name
        if isinstance(node, Fstab):
            if node.base in lines:
                raise BlockDeviceConfigError(f"{lines[node.base]} and {node.name} are both for {node.base}",
                                             where=node.where, hint="keep one of them")
            lines[node.base] = node.name
