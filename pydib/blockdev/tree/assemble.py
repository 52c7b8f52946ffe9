"""A graph made in files, from the finished tree."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import singledispatchmethod
from pathlib import Path

from pydib.blockdev.create.partitions import Disk, write_table
from pydib.blockdev.filesystem import EXT, FAT, made_at, mkfs_command, mkfs_options
from pydib.blockdev.graph import Graph, ImageLayout
from pydib.blockdev.identity import identified
from pydib.blockdev.image_file import image_path, sparse_file
from pydib.blockdev.nodes import LocalLoop, Mkfs, Node, Partitioning
from pydib.blockdev.table import Extent
from pydib.blockdev.tree.ext import make_ext
from pydib.blockdev.tree.fat import fill_fat
from pydib.blockdev.tree.kernel import fill_by_kernel
from pydib.blockdev.tree.place import place
from pydib.blockdev.tree.view import make_mount_points, view
from pydib.errors import BlockDeviceError
from pydib.events import Note, Reporter, Warned
from pydib.host.command import run
from pydib.host.inside import write_inside


def prepare_tree(graph: Graph, tree: Path) -> None:
    """Give the tree what device mode gives it while the disk is made: fstab (C-222) and the mount points (C-221).

    Raises:
        BlockDeviceError: a mount point is no folder.
    """
    make_mount_points(tree, mount_points(graph))
    write_inside(tree, "etc", "fstab", graph.fstab_text())


def mount_points(graph: Graph) -> tuple[str, ...]:
    """Where filesystems are mounted, parents first; without swap."""
    return tuple(found.mount.mount_point for found in graph.filesystems() if found.filesystem.type != "swap")


def assemble_tree(graph: Graph, *, tree: Path, image_dir: Path, work_dir: Path, size_bytes: int,
                  report: Reporter, seed: str = "", moment: int | None = None) -> Path:
    """Make all images of `graph` in files, filled from `tree`; gives the main image's file.

    When a step fails the files are removed.

    Args:
        graph: from `pydib.blockdev.load`, such as `limits.why_not` has nothing against.
        tree: the finished tree, with nothing mounted in it; `prepare_tree` was there.
        image_dir: an existing folder for the raw files.
        work_dir: an existing folder for filesystems on their way; empty afterwards.
        size_bytes: size of the images that have none of their own.
        report: gets warnings about the configuration and notes on what is done.
        seed: what identifiers are derived from; empty: they are the tools' own, other ones each time.
        moment: the time, in seconds since 1970, at which all is made, and after which no file was changed; None: now.

    Raises:
        BlockDeviceConfigError: the partitions do not fit.
        BlockDeviceError: the tree does not fit, or has what a filesystem cannot hold.
        CommandFailed, ToolMissing: from the tools.
    """
    graph = identified(graph, seed)
    layouts = graph.layouts(size_bytes)
    for warning in graph.warnings:
        report(Warned(text=warning))
    with ExitStack() as stack:
        work = _Assembly(graph=graph, layouts=layouts, tree=tree, image_dir=image_dir, work_dir=work_dir,
                         report=report, stack=stack, moment=moment)
        for node in graph.order:
            work.make(node)
        return work.images[graph.main_image.name]


@dataclass(kw_only=True)
class _Assembly:
    """What has been made so far."""

    graph: Graph
    layouts: Mapping[str, ImageLayout]
    tree: Path
    image_dir: Path
    work_dir: Path
    report: Reporter
    stack: ExitStack
    moment: int | None
    images: dict[str, Path] = field(default_factory=dict)

    @singledispatchmethod
    def make(self, node: Node) -> None:
        """Make one node. Partitions come with their table; mounts decide what goes into a filesystem."""

    @make.register
    def _(self, node: LocalLoop) -> None:
        path, size = image_path(node, self.image_dir), self.layouts[node.name].size_bytes
        self.images[node.name] = self.stack.enter_context(sparse_file(path, size))

    @make.register
    def _(self, node: Partitioning) -> None:
        table = self.layouts[node.base].table
        if table is None:
            raise BlockDeviceError("a partition table was not laid out", where=node.where)
        image = self.images[node.base]
        write_table(Disk(image=image, device=str(image), table=table))

    @make.register
    def _(self, node: Mkfs) -> None:
        image, extent = self._place_of(node.base)
        points = mount_points(self.graph)
        point = next((found.mount.mount_point for found in self.graph.filesystems()
                      if found.filesystem == node and found.filesystem.type != "swap"), "")
        with ExitStack() as stack:
            tree = stack.enter_context(view(self.tree, point, points, self.work_dir)) if point else None
            self._make_filesystem(node, image, extent, tree)
        what = f", filled from {point}" if point else ""
        self.report(Note(text=f"made {node.type} {node.label!r} in {image.name}, from byte {extent.offset_bytes} on"
                              f"{what}"))

    def _place_of(self, base: str) -> tuple[Path, Extent]:
        """The image file and the place in it of a partition, or of a whole image."""
        name = next(name for name, layout in self.layouts.items() if base in layout.extents)
        return self.images[name], self.layouts[name].extents[base]

    def _make_filesystem(self, node: Mkfs, image: Path, extent: Extent, tree: Path | None) -> None:
        options = mkfs_options(node, self.graph.root, extent.size_bytes)
        if node.type in EXT:
            make_ext(node, image, extent, options, tree, moment=self.moment)
            return
        own = self.work_dir / "filesystem"
        with sparse_file(own, extent.size_bytes):
            run(*mkfs_command(node, str(own), options), more_env=made_at(self.moment))
            if tree is not None and node.type in FAT:
                fill_fat(node, own, tree, moment=self.moment)
            elif tree is not None:
                fill_by_kernel(node, own, tree, self.work_dir, moment=self.moment)
            place(own, image, extent.offset_bytes)
        own.unlink()
