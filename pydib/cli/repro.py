"""`pydib repro`: builds twice, in circumstances as different as can be, and names the script that first differs."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from pydib import template
from pydib.build import prepare
from pydib.cli.build import make_recipe, recipe_options
from pydib.cli.cache import store_of
from pydib.errors import CommandFailed, RecipeError
from pydib.host import machine
from pydib.host.command import run
from pydib.layer.history import build_of
from pydib.layer.point import mounted_state, own_mounts
from pydib.layer.records import BuildRecord
from pydib.layer.store import Store
from pydib.verify import difference
from pydib.verify.difference import Difference
from pydib.verify.listing import Listing, of_folder

NAME = "image"
ENGINE = "pydib itself, after the last script"
MOST_NAMED = 20
_RUN = "from pydib.cli.main import run; run()"
_ONE, _TWO = "one", "two"
_OTHER = {"LANG": "de_DE.UTF-8", "LC_TIME": "C.UTF-8", "TZ": "Asia/Tokyo"}
_OTHER_UMASK = 0o077


@click.command()
@recipe_options
@click.option("--compare", type=click.Path(path_type=Path), hidden=True, help="Compare the builds in that folder.")
def command(compare: Path | None, **options: Any) -> int:
    """Build ELEMENTs twice and tell whether the outputs are the same, bit for bit. The second build runs later, in
    another directory with another TMPDIR, locale, time zone and umask, and, of root, with another host name.

    Where the images differ, it names the files, and for each the script that first left it different. The exit code is
    0 when all is the same, and 1 when it is not.
    """
    if compare is not None:
        return _tell(compare, options.get("image_cache"))
    if not options["elements"]:
        raise RecipeError("no elements were named", hint="for example: pydib repro debian-minimal vm")
    if options.get("image_name"):
        raise RecipeError("pydib repro names the outputs itself, and keeps none", where=f"-o {options['image_name']}",
                          hint="leave out -o")
    recipe = make_recipe(options)
    first = next((step.name for step in prepare(recipe).plan.steps if step.kind == "script"), "")
    anew = ["--rebuild-from", first] if recipe.layers and first and not recipe.rebuild_from else []
    with tempfile.TemporaryDirectory(prefix="pydib-repro-") as top:
        folder = Path(top)
        sums = {}
        for which in (_ONE, _TWO):
            found = _built(folder / which, [*_words(), *anew], other=which == _TWO)
            if isinstance(found, int):
                return found
            sums[which] = found
        differing = [name for name in sorted(sums[_ONE]) if sums[_ONE][name] != sums[_TWO].get(name)]
        for name, digest in sorted(sums[_ONE].items()):
            sys.stdout.write(f"{name}: {'different' if name in differing else f'the same, sha256 {digest}'}\n")
        if not differing:
            return 0
        if not recipe.layers:
            sys.stdout.write("Without layers (--no-cache) it is not known which script made the difference.\n")
            return 1
        # An ordinary user's layers are read by a process of its own, in the user's namespace.
        sys.stdout.write(run(sys.executable, "-c", _RUN, "repro", "--compare", folder, "--image-cache",
                             recipe.image_cache, accept=(0, 1)))
    return 1


def _words() -> list[str]:
    """The words of the command line behind `repro`."""
    return sys.argv[sys.argv.index("repro") + 1:]


def _built(place: Path, words: Sequence[str], *, other: bool) -> dict[str, str] | int:
    """Build in `place`; gives the digests of the outputs by name, or the exit code of a build that failed."""
    work, temporary = place / ("some/where/else" if other else "here"), place / "temporary"
    for folder in (work, temporary):
        folder.mkdir(parents=True)
    for folder in (place.parent, place):
        folder.chmod(0o755)
    if other:
        time.sleep(1.1)  # times of files are in seconds at least
    argv = [sys.executable, "-c", _RUN, "build", *words, "-o", NAME, "--progress", "quiet"]
    if other and machine.is_root():
        argv = ["unshare", "--uts", "sh", "-c", 'hostname another-host && exec "$@"', "sh", *argv]
    sys.stderr.write(f"pydib repro: build {'two' if other else 'one'} of two\n")
    env = {**os.environ, "TMPDIR": str(temporary), **(_OTHER if other else {})}
    before = os.umask(_OTHER_UMASK) if other else None
    try:
        run(*argv, cwd=work, env=env)
    except CommandFailed as problem:
        sys.stderr.write(problem.output)
        return problem.code
    finally:
        if before is not None:
            os.umask(before)
    return {path.name: _sum(path) for path in work.glob(f"{NAME}.*") if path.is_file()}


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tell(folder: Path, image_cache: Path | None) -> int:
    """Print which files differ, and which script first left each different."""
    with store_of(image_cache) as store:
        builds = [build_of(store, folder / place / NAME) for place in (f"{_ONE}/here", f"{_TWO}/some/where/else")]
        if not all(build.final for build in builds):
            sys.stdout.write("The builds were not kept in layers to their end (their logs say why), so it is not known "
                             "which script made the difference.\n")
            return 1
        own_mounts()
        found = _files(store, builds[0].final, builds[1].final)
        authors = first_authors(store, builds, found)
    groups: dict[str, list[Difference]] = {}
    for one in found:
        groups.setdefault(authors[one.name], []).append(one)
    order = [*(line.script for line in builds[0].scripts), ENGINE]
    sys.stdout.write(template.render("repro.txt", most=MOST_NAMED, groups=[
        (script, groups[script]) for script in sorted(groups, key=order.index)]))
    return 1


def _files(store: Store, old: str, new: str) -> list[Difference]:
    with _listings(store, old, new) as (one, two):
        return difference.files(one.items, two.items)


@contextmanager
def _listings(store: Store, *states: str) -> Iterator[tuple[Listing, ...]]:
    with ExitStack() as stack:
        yield tuple(of_folder(stack.enter_context(mounted_state(store, state))) for state in states)


def first_authors(store: Store, builds: Sequence[BuildRecord], wanted: Sequence[Difference]) -> dict[str, str]:
    """For each path that differs in the end, the first script after which it did, and from which on it stayed so."""
    open_paths = {one.name for one in wanted}
    authors = dict.fromkeys(open_paths, ENGINE)
    lines = [{line.script: line.after for line in build.scripts} for build in builds]
    for line in reversed(builds[0].scripts):
        if not open_paths:
            break
        states = [known.get(line.script) for known in lines]
        if None in states or states[0] == states[1]:
            break
        there = _still(store, states, open_paths)
        for path in there:
            authors[path] = line.script
        open_paths = there
    return authors


def _still(store: Store, states: Sequence[str | None], paths: set[str]) -> set[str]:
    """Those of `paths` that differ in these states."""
    with ExitStack() as stack:
        items: list[Mapping[str, Any]] = []
        for state in states:
            listing = of_folder(stack.enter_context(mounted_state(store, state or "")))
            items.append({path: item for path, item in listing.items.items() if path in paths})
        return {one.name for one in difference.files(items[0], items[1])}
