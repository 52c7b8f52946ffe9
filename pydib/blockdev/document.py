"""The text of a block-device configuration, as a flat list of entries that know their line (C-210, C-211).

All plain values stay text: YAML would otherwise read the label `no` as false, the size `1e3` as a number and the
partition type `0700` as octal (C-206, C-214).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from pydib.errors import BlockDeviceConfigError

MODULES = ("local_loop", "partitioning", "lvm", "mkfs", "mount", "fstab")
NESTING_LISTS = ("partitions", "lvs")
"""Keys whose lists hold nodes that can have modules nested in them."""

HINT_FORM = f"write a list whose items have one key each, one of: {', '.join(MODULES)}"
SAFE_NAME = re.compile(r"[A-Za-z0-9_.+:@=]([A-Za-z0-9_.+:@= -]*[A-Za-z0-9_.+:@=-])?")


class Map(dict[str, Any]):
    """A map of the document that knows on which line it begins, and which keys it has twice."""

    line: int = 0
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One module of the configuration with a name of its own, and everything nested in it taken out.

    `base` is what the entry stands on, empty when nothing says so.
    """

    module: str
    name: str
    base: str
    fields: Map
    where: str


def entries(text: str, *, where: str) -> tuple[Entry, ...]:
    """All modules of a configuration, parents before what is nested in them (C-211).

    Args:
        text: YAML.
        where: what to call the text in errors, for example its path.

    Raises:
        BlockDeviceConfigError: it is not YAML, or does not have the form of C-210.
    """
    document = _load(text, where)
    if not isinstance(document, list) or not document:
        raise BlockDeviceConfigError("a block-device configuration must be a list", where=where, hint=HINT_FORM)
    return tuple(entry for item in document for entry in _top(item, where))


class _Loader(yaml.SafeLoader):
    """Leaves plain values as text, but for null and the merge key."""


_KEPT_TAGS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _map(loader: _Loader, node: yaml.MappingNode) -> Map:
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    loader.flatten_mapping(node)
    found = Map({str(key): value for key, value in loader.construct_mapping(node, deep=True).items()})
    found.line = node.start_mark.line + 1
    found.repeated = tuple(dict.fromkeys(key for key in keys if keys.count(key) > 1))
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _map)


def _load(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(problem, "problem", None) or str(problem)
        raise BlockDeviceConfigError(f"the block-device configuration is not YAML: {what}", where=where + line,
                                     hint="check indentation and brackets on that line and the one before") from None


def _top(item: Any, where: str) -> Iterator[Entry]:
    if not isinstance(item, Map):
        raise BlockDeviceConfigError(f"an item of the block-device configuration is not a map: {item!r}", where=where,
                                     hint=HINT_FORM)
    place = f"{where}, line {item.line}"
    if len(item) != 1:
        raise BlockDeviceConfigError(f"an item has {len(item)} keys instead of one: {', '.join(map(str, item))}",
                                     where=place, hint="begin a new item with '- ', or indent what is nested deeper")
    module, fields = next(iter(item.items()))
    if module not in MODULES:
        raise BlockDeviceConfigError(f"there is no block-device module {module!r}", where=place, hint=HINT_FORM)
    yield from _entry(module, fields, parent="", where=where, line=item.line)


def _entry(module: str, fields: Any, *, parent: str, where: str, line: int) -> Iterator[Entry]:
    """The entry of a module, then the entries nested in it."""
    if not isinstance(fields, Map):
        raise BlockDeviceConfigError(f"{module} must be a map of its settings, not {fields!r}",
                                     where=f"{where}, line {line}", hint=f"write '{module}:' and indent its keys below")
    place = f"{where}, line {fields.line}: {module}"
    base = fields.get("base", parent)
    name = fields.get("name") or (f"{module}_{base}" if isinstance(base, str) and base else "")
    if module == "lvm":
        name = name or "lvm"
    if not name:
        raise BlockDeviceConfigError(f"a {module} has neither a name nor a base", where=place,
                                     hint="give it 'name:'" + ("" if module == "local_loop" else " and 'base:'"))
    checked_name(name, place)
    yield Entry(module=module, name=name, base=base if isinstance(base, str) else "",
                fields=_without(fields, MODULES), where=f"{place} {name}")
    for child in _nested(fields):
        yield from _entry(child, fields[child], parent=name, where=where, line=fields.line)
    for key in NESTING_LISTS:
        yield from _in_list(fields.get(key), where)


def _in_list(items: Any, where: str) -> Iterator[Entry]:
    """What is nested in partitions and logical volumes."""
    for item in items if isinstance(items, list) else []:
        for child in _nested(item) if isinstance(item, Map) else []:
            parent = checked_name(item.get("name"), f"{where}, line {item.line}")
            yield from _entry(child, item[child], parent=parent, where=where, line=item.line)


def _nested(fields: Map) -> list[str]:
    return [key for key in fields if key in MODULES]


def _without(fields: Map, keys: tuple[str, ...]) -> Map:
    kept = Map((key, value) for key, value in fields.items() if key not in keys)
    kept.line, kept.repeated = fields.line, fields.repeated
    return kept


def checked_name(name: object, where: str) -> str:
    """`name` if it can stand in a file name and in the variable IMAGE_BLOCK_DEVICES, which scripts `eval` (C-117).

    Raises:
        BlockDeviceConfigError: it cannot.
    """
    if name is None:
        raise BlockDeviceConfigError("a name is missing", where=where, hint="add 'name:'")
    if not isinstance(name, str) or not SAFE_NAME.fullmatch(name):
        raise BlockDeviceConfigError(f"{name!r} cannot be a name", where=where,
                                     hint="use letters, digits, blanks and _ . + : @ = -")
    return name
