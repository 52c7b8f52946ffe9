"""How two trees differ: file by file, and package by package."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydib.errors import CommandFailed
from pydib.host.command import find_tool, run
from pydib.verify.listing import DPKG_STATUS, RPM_DATABASES, Item, Listing

_T = TypeVar("_T")
ADDED, REMOVED, CHANGED = "added", "removed", "changed"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One path or package: `what` is added, removed or changed; `details` tell what of it changed."""

    name: str
    what: str
    details: tuple[str, ...] = ()


def files(old: Mapping[str, Item], new: Mapping[str, Item]) -> list[Difference]:
    """Paths that differ, sorted; times do not count."""
    return list(_compared(old, new, lambda a, b: tuple(_details(a, b)), lambda item: ()))


def packages(old: Mapping[str, str], new: Mapping[str, str]) -> list[Difference]:
    """Packages that differ, by name and version."""
    return list(_compared(old, new, lambda a, b: () if a == b else (f"{a} -> {b}",), lambda version: (version,)))


def _compared(old: Mapping[str, _T], new: Mapping[str, _T], details: Callable[[_T, _T], tuple[str, ...]],
              alone: Callable[[_T], tuple[str, ...]]) -> Iterator[Difference]:
    for name in sorted({*old, *new}):
        if name not in old:
            yield Difference(name=name, what=ADDED, details=alone(new[name]))
        elif name not in new:
            yield Difference(name=name, what=REMOVED, details=alone(old[name]))
        elif found := details(old[name], new[name]):
            yield Difference(name=name, what=CHANGED, details=found)


def _details(old: Item, new: Item) -> Iterator[str]:
    if old.kind != new.kind:
        yield f"{old.kind} -> {new.kind}"
        return
    if old.mode != new.mode and old.kind != "link":
        yield f"mode {old.mode:04o} -> {new.mode:04o}"
    if (old.user, old.group) != (new.user, new.group):
        yield f"owner {old.user}:{old.group} -> {new.user}:{new.group}"
    if old.target != new.target:
        yield f"{'target' if old.kind == 'link' else 'device'} {old.target} -> {new.target}"
    if old.size != new.size:
        yield f"size {old.size} -> {new.size}"
    elif (not old.identity or old.identity != new.identity) and old.digest() != new.digest():
        yield "content"
    if old.names != new.names:
        yield f"hard links {old.names} -> {new.names}"
    for name in sorted({*old.attributes, *new.attributes}):
        if old.attributes.get(name) != new.attributes.get(name):
            what = ADDED if name not in old.attributes else REMOVED if name not in new.attributes else CHANGED
            yield f"attribute {name} {what}"


def packages_of(listing: Listing) -> dict[str, str]:
    """Versions of the installed packages by name (dpkg's, and rpm's where the program rpm is installed here)."""
    found: dict[str, str] = {}
    if DPKG_STATUS in listing.items:
        found.update(_of_dpkg(listing.read(DPKG_STATUS).decode("utf-8", "replace")))
    database = next((path for path in RPM_DATABASES if path in listing.items), "")
    if database and find_tool("rpm") is not None:
        found.update(_of_rpm(Path(database).name, listing.read(database)))
    return found


def _of_dpkg(status: str) -> Iterator[tuple[str, str]]:
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            foreign = fields.get("Multi-Arch") == "same"
            yield fields["Package"] + (f":{fields['Architecture']}" if foreign else ""), fields.get("Version", "")


def _of_rpm(name: str, database: bytes) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="pydib-rpm-") as folder:
        Path(folder, name).write_bytes(database)
        try:
            lines = run("rpm", "--dbpath", folder, "-qa", "--qf", "%{NAME}.%{ARCH} %{EVR}\n").splitlines()
        except CommandFailed:
            return
    yield from (tuple(line.split(" ", 1)) for line in lines if " " in line)  # type: ignore[misc]
