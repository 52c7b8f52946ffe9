"""Block devices: from the YAML of contract section 8 to mounted filesystems in an image file.

    choice = blockdev.choose(given, elements=directories, arch="amd64")
    graph = blockdev.load(choice.text, where=choice.where, root=blockdev.RootDefaults(fs_type="ext4"))
    graph.answers.root_label
    blockdev.check_machine(graph)
    with blockdev.assembled(graph, image_dir=..., size_bytes=..., mount_base=..., report=reporter) as disk:
        disk.image_block_device

Without a block device, from the finished tree (tree mode):

    blockdev.prepare_tree(graph, tree)
    image = blockdev.assemble_tree(graph, tree=tree, image_dir=..., work_dir=..., size_bytes=..., report=reporter)

Thinking (document, config, checks, graph, table, filesystem) and acting (create, tree, machine) are apart: `load` and
`graph.layouts` need no device and no root.
"""

from __future__ import annotations

from pydib.blockdev import config as _config
from pydib.blockdev import graph as _graph
from pydib.blockdev.choose import DEFAULT_CONFIG, DEFAULT_WHERE, Choice, choose
from pydib.blockdev.create.assemble import AssembledDisk, assembled
from pydib.blockdev.filesystem import RootDefaults, journal_mib, mkfs_command, mkfs_options
from pydib.blockdev.graph import Answers, Graph, ImageLayout
from pydib.blockdev.machine import check_machine
from pydib.blockdev.tree.assemble import assemble_tree, mount_points, prepare_tree


def load(text: str | None, *, root: RootDefaults | None = None, where: str = "",
         sector_bytes: int | None = None) -> Graph:
    """The graph of a configuration.

    Args:
        text: YAML; None or blank: one filesystem on the whole image (C-205).
        root: what the command line says about the root filesystem.
        where: what to call the text in errors: its path, or the variable that holds it.
        sector_bytes: DIB_BLOCK_SIZE, if given.

    Raises:
        BlockDeviceConfigError: what is wrong, at which line, and what to do.
    """
    if text is None or not text.strip():
        text, where = DEFAULT_CONFIG, DEFAULT_WHERE
    where = where or "the block-device configuration"
    return _graph.build(_config.parse(text, where=where, sector_bytes=sector_bytes), root=root or RootDefaults(),
                        where=where)


__all__ = [
    "DEFAULT_CONFIG", "Answers", "AssembledDisk", "Choice", "Graph", "ImageLayout", "RootDefaults",
    "assemble_tree", "assembled", "check_machine", "choose", "journal_mib", "load", "mkfs_command", "mkfs_options",
    "mount_points", "prepare_tree",
]
