"""What a disk has though nobody asked for it: identifiers of tables, partitions and filesystems. Pure.

Tools make these up, so no two disks are the same. Derived from a seed they are: the same seed, and the same place in
the configuration, always give the same identifier. What a configuration, or an option, names stays as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from pydib.blockdev.filesystem import EXT, FAT, mkfs_options, names_itself
from pydib.blockdev.graph import Graph
from pydib.blockdev.nodes import Mkfs, Node, Partition, Partitioning

_OURS = uuid.UUID("5f0c9d0e-3f4c-5b1c-9d6e-0b6f1f3a7c21")
"""The name space of our identifiers (RFC 9562, version 5)."""


def derived(seed: str, *path: str) -> uuid.UUID:
    """The identifier of what `path` names on a disk of that seed."""
    return uuid.uuid5(_OURS, "\0".join((seed, *path)))


def identified(graph: Graph, seed: str) -> Graph:
    """`graph` with an identifier for everything that has none; with an empty seed as it is, for the tools to choose."""
    if not seed:
        return graph
    made: dict[str, Node] = {}
    for node in graph.nodes:
        if isinstance(node, Mkfs):
            made[node.name] = _filesystem(graph, node, seed)
        elif isinstance(node, Partitioning):
            table = _table(node, seed)
            made |= {table.name: table, **{partition.name: partition for partition in table.partitions}}
    return replace(graph, nodes=_with(graph.nodes, made), order=_with(graph.order, made))


def _with(nodes: Sequence[Node], made: dict[str, Node]) -> tuple[Node, ...]:
    return tuple(made.get(node.name, node) for node in nodes)


def _filesystem(graph: Graph, node: Mkfs, seed: str) -> Mkfs:
    if not node.uuid and not names_itself(node.type, mkfs_options(node, graph.root, 0)):
        name = str(derived(seed, node.name, "filesystem"))
        node = replace(node, uuid=f"{name[:4]}-{name[4:8]}".upper() if node.type in FAT else name)
    return replace(node, hash_seed=str(derived(seed, node.name, "hash"))) if node.type in EXT else node


def _table(node: Partitioning, seed: str) -> Partitioning:
    if node.label == "mbr":
        return replace(node, identifier=derived(seed, node.name, "disk").hex[:8])
    return replace(node, identifier=str(derived(seed, node.name, "disk")).upper(),
                   partitions=tuple(_partition(one, seed) for one in node.partitions))


def _partition(node: Partition, seed: str) -> Partition:
    return replace(node, identifier=str(derived(seed, node.name, "partition")).upper())
