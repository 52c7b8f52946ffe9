"""`pydib bench`: what each phase, script and step of a build costs, beside the last time."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from pydib import clock, template
from pydib.build import prepare, run_build
from pydib.cli.build import make_recipe, recipe_options
from pydib.errors import EngineError, RecipeError
from pydib.layer.keys import digest
from pydib.recipe import Recipe, Wishes
from pydib.report.spans import Span, Spans, read_spans
from pydib.report.timeline import cells

FOLDER = "bench"
"""In the image cache: the last measurement of each set of elements."""
WORTH_TELLING_SECONDS = 0.05
"""Differences below that are noise."""


@click.command()
@recipe_options
@click.option("--runs", type=click.IntRange(1, 99), default=1, show_default=True,
              help="Builds to run; of several, the median of each figure counts.")
@click.option("--cached", is_flag=True, help="Take scripts from layers, as a build does, instead of running all.")
@click.option("--timeline", "timeline_file", metavar="FILE",
              help="Write a page with the last build's timeline, and FILE.json for trace viewers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(runs: int, cached: bool, timeline_file: str | None, as_json: bool, **options: Any) -> int:
    """Build ELEMENTs, and tell what each phase, script and step cost: seconds, processor time, memory, bytes to disk
    and over the network, beside the last time. The image is kept only when -o names it."""
    if not options["elements"]:
        raise RecipeError("no elements were named", hint="for example: pydib bench debian-minimal vm")
    named = bool(options.get("image_name"))
    recipe = make_recipe(options)
    with tempfile.TemporaryDirectory(prefix="pydib-bench-") as folder:
        measured = []
        for number in range(runs):
            found, code = _run(recipe, Path(folder), number, cached=cached, named=named, timeline=timeline_file or "")
            if code:
                sys.stderr.write(f"pydib bench: the build failed: {found.failure}\n")
                return code
            measured.append(found)
    now = _facts(measured, recipe, cached=cached)
    kept = recipe.image_cache / FOLDER / f"{digest([now['elements'], recipe.arch, cached])[:24]}.json"
    last = _read(kept)
    _keep(kept, now)
    if as_json:
        sys.stdout.write(json.dumps({**now, "last": last or None}, indent=2) + "\n")
    else:
        sys.stdout.write(template.render("bench.txt", **_table(now, last)))
    return 0


def _run(recipe: Recipe, folder: Path, number: int, *, cached: bool, named: bool, timeline: str) -> tuple[Spans, int]:
    if not named:
        recipe = replace(recipe, image_name=str(folder / "image"), overwrite_old_image=True)
    if recipe.layers and not cached and not recipe.rebuild_from:
        recipe = replace(recipe, rebuild_from=_first_script(recipe))
    told = folder / f"events{number}.jsonl"
    told.touch()
    folder.chmod(0o755)
    code = run_build(recipe, Wishes(style="quiet", events_file=str(told), timeline_file=timeline))
    return read_spans(told), code


def _first_script(recipe: Recipe) -> str:
    return next((step.name for step in prepare(recipe).plan.steps if step.kind == "script"), "")


def _facts(measured: Sequence[Spans], recipe: Recipe, *, cached: bool) -> dict[str, Any]:
    """All figures; of several builds the median of each."""
    spans: dict[str, list[Span]] = {}
    for build in measured:
        times: Counter[str] = Counter()
        for span in build.all:  # a step may come twice in a build
            name = f"{span.kind} {span.name}"
            times[name] += 1
            spans.setdefault(f"{name} {times[name]}", []).append(span)
    rows = [_median(same) for same in spans.values()]
    rows.sort(key=lambda row: (row["begun"], row["kind"] != "phase"))
    return {"elements": list(measured[0].elements), "arch": recipe.arch, "cached": cached, "runs": len(measured),
            "time": clock.now().isoformat(timespec="seconds"), "processors": os.cpu_count(),
            "seconds": statistics.median(build.seconds for build in measured),
            "engine_peak_bytes": max(build.engine_peak_bytes for build in measured), "rows": rows}


def _median(same: Sequence[Span]) -> dict[str, Any]:
    row = asdict(same[0])
    for name, value in row.items():
        values = [getattr(span, name) for span in same]
        if isinstance(value, int | float) and not isinstance(value, bool) and None not in values:
            row[name] = type(value)(statistics.median(values))
    return row


def _read(path: Path) -> dict[str, Any]:
    """The last measurement; empty when there is none, or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "rows" in found else {}


def _keep(path: Path, facts: Mapping[str, Any]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(facts), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise EngineError(f"the measurement cannot be kept: {error.strerror}", where=str(path),
                          hint="choose another cache with --image-cache") from None


def _table(now: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    before = {(row["kind"], row["name"]): row for row in last.get("rows", ())}
    rows = []
    for row in now["rows"]:
        old = before.get((row["kind"], row["name"]))
        indent = "  " if row["kind"] == "script" else ""
        name = f"[{row['name']}]" if row["kind"] == "step" else row["name"]
        rows.append({"name": indent + name, "cells": cells(Span(**row)), "cached": row["cached"],
                     "change": _change(row["seconds"], old["seconds"]) if old else "new" if last else ""})
    return {"now": now, "last": last, "rows": rows,
            "change": _change(now["seconds"], last["seconds"]) if last else ""}


def _change(now: float, before: float) -> str:
    """How much longer it took than before, in words for a table; empty when that is noise."""
    if abs(now - before) < WORTH_TELLING_SECONDS or before <= 0:
        return ""
    return f"{100 * (now - before) / before:+.0f}%"
