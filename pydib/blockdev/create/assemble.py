"""A graph made real: each node in its order, everything given back in reverse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import singledispatchmethod
from pathlib import Path

from pydib.blockdev.create.lvm import Lvm
from pydib.blockdev.create.mounts import mounted_filesystem
from pydib.blockdev.create.partitions import Disk, partition_disk
from pydib.blockdev.filesystem import made_at, mkfs_command, mkfs_options
from pydib.blockdev.graph import Graph, ImageLayout
from pydib.blockdev.identity import identified
from pydib.blockdev.image_file import image_path, sparse_file
from pydib.blockdev.machine import check_machine
from pydib.blockdev.nodes import (
    LocalLoop,
    LogicalVolume,
    Mkfs,
    Mount,
    Node,
    Partitioning,
    PhysicalVolume,
    VolumeGroup,
)
from pydib.errors import BlockDeviceError
from pydib.events import Note, Reporter, Warned
from pydib.host.command import run
from pydib.host.loop import attached, device_bytes, locked


@dataclass(frozen=True, kw_only=True)
class AssembledDisk:
    """Devices and files that exist while a graph is assembled.

    Args:
        image_block_device: device of the main image, such as `/dev/loop0` (IMAGE_BLOCK_DEVICE).
        image_block_devices: device by node name: images, partitions, logical volumes (C-117).
        images: raw file by the name of its image.
        main_image: the raw file that becomes the output.
        fstab: text for /etc/fstab.
    """

    image_block_device: str
    image_block_devices: Mapping[str, str]
    images: Mapping[str, Path]
    main_image: Path
    fstab: str


@contextmanager
def assembled(graph: Graph, *, image_dir: Path, size_bytes: int, mount_base: Path,
              report: Reporter, partition_mapper: str = "", seed: str = "", moment: int | None = None
              ) -> Iterator[AssembledDisk]:
    """Make and mount everything in `graph`, for as long as the block lasts; the raw files stay afterwards.

    When the block, or making things, fails, everything is given back and the raw files are removed.

    Args:
        graph: from `pydib.blockdev.load`.
        image_dir: an existing directory for the raw files.
        size_bytes: size of the images that have none of their own.
        mount_base: where the root filesystem is mounted; made when it is missing.
        report: gets warnings about the configuration and notes on what is done.
        seed, moment: as for `assemble_tree`; here the kernel writes, with times and places of its own.
        partition_mapper: the one way to map partitions, such as `kpartx`; empty for the first that works.

    Raises:
        BlockDeviceConfigError: the partitions do not fit.
        ToolMissing: the machine cannot do it; nothing was made.
        CommandFailed, BlockDeviceError: a step failed, or something could not be unmounted at the end.
    """
    graph = identified(graph, seed)
    layouts = graph.layouts(size_bytes)
    check_machine(graph)
    for warning in graph.warnings:
        report(Warned(text=warning))
    with ExitStack() as stack:
        work = _Assembly(graph=graph, layouts=layouts, image_dir=image_dir, mount_base=mount_base, report=report,
                         stack=stack, lvm=Lvm(stack), partition_mapper=partition_mapper, moment=moment)
        for node in graph.order:
            work.make(node)
        yield work.finished()


@dataclass(kw_only=True)
class _Assembly:
    """What has been made so far."""

    graph: Graph
    layouts: Mapping[str, ImageLayout]
    image_dir: Path
    mount_base: Path
    report: Reporter
    stack: ExitStack
    lvm: Lvm
    partition_mapper: str
    moment: int | None
    devices: dict[str, str] = field(default_factory=dict)
    images: dict[str, Path] = field(default_factory=dict)

    def finished(self) -> AssembledDisk:
        """Everything is made."""
        self.lvm.finished()
        main = self.graph.main_image.name
        names = dict.fromkeys(node.name for node in self.graph.nodes
                              if node.name in self.devices and not isinstance(node, PhysicalVolume))
        return AssembledDisk(image_block_device=self.devices[main], images=dict(self.images),
                             image_block_devices={name: self.devices[name] for name in names},
                             main_image=self.images[main], fstab=self.graph.fstab_text())

    @singledispatchmethod
    def make(self, node: Node) -> None:
        """Make one node. Partitions were made with their table; fstab is only text."""

    @make.register
    def _(self, node: LocalLoop) -> None:
        layout = self.layouts[node.name]
        image = self.stack.enter_context(sparse_file(image_path(node, self.image_dir), layout.size_bytes))
        self.images[node.name] = image
        self.devices[node.name] = self.stack.enter_context(attached(image, sector_bytes=node.sector_bytes))

    @make.register
    def _(self, node: Partitioning) -> None:
        table = self.layouts[node.base].table
        if table is None:
            raise BlockDeviceError("a partition table was not laid out", where=node.where)
        disk = Disk(image=self.images[node.base], device=self.devices[node.base], table=table)
        self.devices |= partition_disk(disk, self.stack, self.report, only=self.partition_mapper)

    @make.register
    def _(self, node: PhysicalVolume) -> None:
        self.devices[node.name] = self.devices[node.base]
        if node.base in self.images:  # a partitioned disk is locked already
            self.stack.enter_context(locked(self.devices[node.base]))
        self.lvm.physical_volume(node, self.devices[node.base])

    @make.register
    def _(self, node: VolumeGroup) -> None:
        self.lvm.volume_group(node, [self.devices[base] for base in node.bases])

    @make.register
    def _(self, node: LogicalVolume) -> None:
        self.devices[node.name] = self.lvm.logical_volume(node)

    @make.register
    def _(self, node: Mkfs) -> None:
        device = self.devices[node.base]
        options = mkfs_options(node, self.graph.root, device_bytes(device))
        run(*mkfs_command(node, device, options), more_env=made_at(self.moment))
        self.report(Note(text=f"made {node.type} {node.label!r} on {device}"))

    @make.register
    def _(self, node: Mount) -> None:
        filesystem = next(made for made in self.graph.of(Mkfs) if made.name == node.base)
        if filesystem.type == "swap":
            return
        target = self.mount_base / node.mount_point.lstrip("/")
        self.stack.enter_context(mounted_filesystem(self.devices[filesystem.base], target,
                                                    fs_type=filesystem.type, report=self.report))
