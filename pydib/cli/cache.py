"""`pydib cache`: what the layers of earlier builds take, whether they are whole, and removing what is not needed."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from pydib import clock, paths, recipe, sizes, template
from pydib.host import workspace
from pydib.host.namespace import become_mapped_root
from pydib.layer.store import Store
from pydib.layer.upkeep import gc, kept, verify

FOLDER = "layers"


def _most_bytes(max_size: str | None) -> int:
    """What layers may take: as for builds, if nothing else is asked for."""
    if max_size:
        return recipe.layers_bytes(max_size, name="--max-size")
    return recipe.layers_bytes(os.environ.get("PYDIB_CACHE_SIZE", ""), name="PYDIB_CACHE_SIZE")


def store_of(image_cache: Path | None) -> Store:
    """The store in that cache, by default in the caller's. An ordinary user's holds files of subordinate ids, so the
    command begins anew as their root."""
    become_mapped_root()
    return Store((image_cache.absolute() if image_cache else paths.image_cache(os.environ)) / FOLDER)


_cache_option = click.option("--image-cache", type=click.Path(path_type=Path), help="The cache to look at.")


@click.group()
def command() -> None:
    """Look after the layers of earlier builds."""


@command.command("ls")
@_cache_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(image_cache: Path | None, as_json: bool) -> None:
    """List the layers, those that were used last first: size, age, and whose script made each."""
    with store_of(image_cache) as store:
        rows: list[dict[str, Any]] = [
            {"layer": one.state.upper, "state": one.state.id, "bytes": one.state.size_bytes, "files": one.state.files,
             "made_by": one.state.made_by, "element": one.state.element, "phase": one.state.phase, "used": one.used}
            for one in kept(store) if one.state.upper]
    if as_json:
        sys.stdout.write(json.dumps({"layers": rows}, indent=2) + "\n")
        return
    sys.stdout.write(template.render("layers.txt", rows=rows, size=sizes.human_size, age=_age,
                                     total=sum(row["bytes"] for row in rows)))


def _age(used: float) -> str:
    seconds = max(0, int(clock.since_1970() - used))
    return str(datetime.timedelta(seconds=seconds)).rpartition(":")[0] + " h"


@command.command("verify")
@_cache_option
def verify_(image_cache: Path | None) -> int:
    """Read every layer to its end, and name those that are not what was written. Exit code 1 if there is any."""
    with store_of(image_cache) as store:
        problems = list(verify(store))
        count = len(kept(store))
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{count} states read, {len(problems)} damaged\n" if problems
                     else f"{count} states read, all as they were written\n")
    if problems:
        sys.stdout.write("The next build makes anew what it needs of them; `pydib cache gc` removes the rest.\n")
    return int(bool(problems))


@command.command("gc")
@_cache_option
@click.option("--max-size", metavar="SIZE", help="What layers may take (default: $PYDIB_CACHE_SIZE, else 20GiB).")
@click.option("--older-than", metavar="AGE", help="Remove layers that were not used for AGE: 12h, 7d.")
@click.option("--all", "everything", is_flag=True, help="Remove every layer that no running build uses.")
def gc_(image_cache: Path | None, max_size: str | None, older_than: str | None, everything: bool) -> None:
    """Remove layers: what no build can use, and what was not used for longest when there is too much. Remove, too, the
    directories, maps and loop devices of builds that were killed."""
    most = 0 if everything else _most_bytes(max_size)
    age = 0.0 if everything else recipe.age(older_than, name="--older-than") if older_than else None
    with store_of(image_cache) as store:
        swept = gc(store, most_bytes=most, older_than=age)
    sys.stdout.write(f"{swept.layers} layers and {swept.files} other files removed, "
                     f"{sizes.human_size(swept.freed_bytes)}; {sizes.human_size(swept.left_bytes)} are kept\n")
    for path in workspace.sweep(paths.temporary(os.environ), tell=lambda text: click.echo(text, err=True)):
        sys.stdout.write(f"{path} removed, of a build that was killed\n")
    if swept.builds:
        sys.stdout.write(f"{swept.builds} builds are running; what they use is kept\n")
