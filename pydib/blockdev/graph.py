"""How the nodes of a configuration stand on one another: checked, completed, in the order of creation. Pure.

Contract C-208, C-212, C-213, C-220 to C-222.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from pydib.blockdev.checks import by_name, check_bases, check_labels, check_mounts, check_sharing
from pydib.blockdev.config import Config, mount_point_path
from pydib.blockdev.filesystem import LABEL_BYTES, ROOT_NODE, RootDefaults, mkfs_tool, written_label
from pydib.blockdev.nodes import (
    Fstab,
    LocalLoop,
    Mkfs,
    Mount,
    Node,
    Partitioning,
    PhysicalVolume,
    bases_of,
)
from pydib.blockdev.table import Extent, Table, lay_out
from pydib.errors import BlockDeviceConfigError

MAIN_IMAGE = "image0"
"""The node whose image becomes the output (C-208)."""
NO_MOUNT_POINT = "none"

N = TypeVar("N", bound=Node)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a build may ask before any device exists (C-208).

    `boot_label` is empty without /boot. `mount_points` are in the order of the configuration, as DIB_MOUNTPOINTS
    lists them; swap stands there as it was written.
    """

    root_label: str
    root_fstype: str
    boot_label: str
    mount_points: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageLayout:
    """One image file: its size and sector size in bytes, its partition table if it has one, and where each of its
    partitions (or the whole, under its own name) lies."""

    loop: LocalLoop
    size_bytes: int
    table: Table | None
    extents: Mapping[str, Extent]


@dataclass(frozen=True, kw_only=True)
class MountedFilesystem:
    """A filesystem with its mount point and, if it has one, its line in fstab."""

    mount: Mount
    filesystem: Mkfs
    fstab: Fstab | None


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A whole configuration.

    Args:
        nodes: in the order of the configuration, completed with the defaults.
        order: the same nodes, each after those that it stands on; mounts in byte order of their mount points.
        answers: see there.
        root: where the options of the root filesystem come from.
        warnings: what a user should be told.
    """

    nodes: tuple[Node, ...]
    order: tuple[Node, ...]
    answers: Answers
    root: RootDefaults
    warnings: tuple[str, ...] = ()

    def of(self, kind: type[N]) -> tuple[N, ...]:
        """All nodes of a kind, in the order of creation."""
        return tuple(node for node in self.order if isinstance(node, kind))

    @property
    def uses_lvm(self) -> bool:
        """Whether device-mapper is needed in any case."""
        return any(isinstance(node, PhysicalVolume) for node in self.nodes)

    @property
    def main_image(self) -> LocalLoop:
        """The image that becomes the output: image0, or the first."""
        loops = self.of(LocalLoop)
        return next((loop for loop in loops if loop.name == MAIN_IMAGE), loops[0])

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that make this configuration's filesystems, sorted."""
        return tuple(sorted({mkfs_tool(node.type) for node in self.of(Mkfs)}))

    def filesystems(self) -> tuple[MountedFilesystem, ...]:
        """What is mounted, parents before what is mounted inside them; then swap."""
        made = {node.name: node for node in self.of(Mkfs)}
        lines = {node.base: node for node in self.of(Fstab)}
        return tuple(MountedFilesystem(mount=mount, filesystem=made[mount.base], fstab=lines.get(mount.name))
                     for mount in self.of(Mount))

    def fstab_text(self) -> str:
        """/etc/fstab: a line for each mount that has an fstab node (C-222)."""
        return "".join(_fstab_line(found.fstab, found) for found in self.filesystems() if found.fstab)

    def layouts(self, size_bytes: int) -> Mapping[str, ImageLayout]:
        """Where everything lies, by the name of the image.

        Args:
            size_bytes: size of the images that have none of their own.

        Raises:
            BlockDeviceConfigError: something does not fit.
        """
        tables = {node.base: node for node in self.of(Partitioning)}
        return {loop.name: _layout(loop, tables.get(loop.name), size_bytes) for loop in self.of(LocalLoop)}


def build(config: Config, *, root: RootDefaults, where: str) -> Graph:
    """Join the nodes of a configuration.

    Raises:
        BlockDeviceConfigError: names that are not unique, bases that are missing, of the wrong kind or a circle,
            two things on one device, labels too long or not unique, mount points not unique, no root filesystem.
    """
    named = by_name(config.nodes)
    check_bases(config.nodes, named)
    check_sharing(config.nodes)
    warnings = list(config.warnings)
    nodes = tuple(_completed(node, named, root, warnings) for node in config.nodes)
    check_labels(nodes)
    check_mounts(nodes)
    if not any(isinstance(node, LocalLoop) for node in nodes):
        raise BlockDeviceConfigError("there is no image", where=where, hint="add '- local_loop: {name: image0}'")
    return Graph(nodes=nodes, order=_creation_order(nodes), answers=_answers(nodes, where), root=root,
                 warnings=tuple(warnings))


def _completed(node: Node, by_name: Mapping[str, Node], root: RootDefaults, warnings: list[str]) -> Node:
    if isinstance(node, Mkfs):
        return _completed_mkfs(node, root, warnings)
    if isinstance(node, Mount):
        made = by_name[node.base]
        if isinstance(made, Mkfs) and made.type == "swap":
            return node
        return replace(node, mount_point=mount_point_path(node.mount_point, node.where))
    return node


def _completed_mkfs(node: Mkfs, root: RootDefaults, warnings: list[str]) -> Mkfs:
    is_root = node.name == ROOT_NODE
    fs_type = node.type or (root.fs_type if is_root else "")
    if not fs_type:
        raise BlockDeviceConfigError(f"the filesystem {node.name} has no type", where=node.where,
                                     hint=f"add 'type: ext4' (only {ROOT_NODE} takes it from FS_TYPE)")
    label = written_label(node.label or (root.label_for(fs_type) if is_root else node.name), fs_type)
    most = LABEL_BYTES.get(fs_type)
    if most is None:
        warnings.append(f"{node.where}: it is not known how long a label of {fs_type} may be")
    elif len(label.encode()) > most:
        raise BlockDeviceConfigError(f"the label {label!r} is too long: {fs_type} takes {most} bytes", where=node.where,
                                     hint="give a shorter 'label:'" + (" or --root-label" if is_root else ""))
    options = node.options if node.options is not None or is_root else ()
    return replace(node, type=fs_type, label=label, options=options)


def _creation_order(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Each node after those that it needs; among those that are free, in the order of the configuration."""
    needs = {node.name: set(bases_of(node)) for node in nodes}
    _add_partition_needs(nodes, needs)
    _add_mount_needs(nodes, needs)
    done: dict[str, Node] = {}
    while len(done) < len(nodes):
        ready = next((node for node in nodes if node.name not in done and needs[node.name] <= done.keys()), None)
        if ready is None:
            circle = [node for node in nodes if node.name not in done]
            raise BlockDeviceConfigError(f"these stand on one another: {', '.join(node.name for node in circle)}",
                                         where=circle[0].where, hint="let one of them stand on an image")
        done[ready.name] = ready
    return tuple(done.values())


def _add_partition_needs(nodes: Sequence[Node], needs: dict[str, set[str]]) -> None:
    for node in nodes:
        for partition in node.partitions if isinstance(node, Partitioning) else ():
            needs[partition.name].add(node.name)


def _add_mount_needs(nodes: Sequence[Node], needs: dict[str, set[str]]) -> None:
    """Mounts follow one another in byte order of their mount points (C-221), so parents come first and swap last."""
    mounts = [node for node in nodes if isinstance(node, Mount)]
    mounts.sort(key=lambda mount: (not mount.mount_point.startswith("/"), mount.mount_point.encode()))
    for earlier, later in pairwise(mounts):
        needs[later.name].add(earlier.name)


def _answers(nodes: Sequence[Node], where: str) -> Answers:
    made = {node.name: node for node in nodes if isinstance(node, Mkfs)}
    mounts = [node for node in nodes if isinstance(node, Mount)]
    at = {mount.mount_point: made[mount.base] for mount in mounts}
    if "/" not in at:
        raise BlockDeviceConfigError("no filesystem is mounted at /", where=where,
                                     hint="add 'mount: {mount_point: /}' to the root filesystem")
    root, boot = at["/"], at.get("/boot")
    return Answers(root_label=root.label, root_fstype=root.type, boot_label=boot.label if boot else "",
                   mount_points=tuple(mount.mount_point for mount in mounts))


def _layout(loop: LocalLoop, table_node: Partitioning | None, size_bytes: int) -> ImageLayout:
    size = loop.size_bytes or size_bytes
    size -= size % loop.sector_bytes
    whole = {loop.name: Extent(offset_bytes=0, size_bytes=size)}
    if table_node is None:
        return ImageLayout(loop=loop, size_bytes=size, table=None, extents=whole)
    table = lay_out(table_node, disk_bytes=size, sector_bytes=loop.sector_bytes)
    return ImageLayout(loop=loop, size_bytes=size, table=table,
                       extents=whole | {slot.name: table.extent(slot) for slot in table.partitions})


def _fstab_line(line: Fstab, found: MountedFilesystem) -> str:
    label = _fstab_escaped(found.filesystem.label)
    if found.filesystem.type == "swap":
        return f"LABEL={label} {NO_MOUNT_POINT} swap sw 0 0\n"
    point = _fstab_escaped(found.mount.mount_point)
    return f"LABEL={label} {point} {found.filesystem.type} {line.options} {line.dump_freq} {line.fsck_passno}\n"


def _fstab_escaped(text: str) -> str:
    r"""Blanks, tabs and backslashes in octal (fstab(5))."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\\" else letter for letter in text)
