"""`pydib plan`: what a build would do, without doing it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from pydib import template
from pydib.build import Prepared, prepare
from pydib.build.forecast import Forecast, forecast
from pydib.build.space import places
from pydib.cli.build import make_recipe, recipe_options
from pydib.cli.cache import FOLDER
from pydib.layer.store import Store


@click.command()
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool, **options: Any) -> None:
    """Show the elements, phases, scripts and outputs of a build in their order, each with its reason; and of each
    script whether an earlier build's layer will stand for it, or what makes it run."""
    prepared = prepare(make_recipe(options))
    facts = _facts(prepared, forecast(prepared, Store(prepared.recipe.image_cache / FOLDER)))
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        sys.stdout.write(template.render("plan.txt.j2", **facts))


def _facts(prepared: Prepared, expected: Sequence[Forecast]) -> dict[str, Any]:
    answers = prepared.graph.answers
    return {
        "layers": {one.script: {"verdict": one.verdict, "reason": one.reason, "text": one.text} for one in expected},
        **prepared.plan.as_json(),
        "space": [{**asdict(place), "text": place.text} for place in places(prepared)],
        "wanted": list(prepared.wanted),
        "defaults": [name for name in prepared.wanted if name not in prepared.recipe.elements],
        "warnings": list(prepared.warnings),
        "disk": {"root_label": answers.root_label, "root_fstype": answers.root_fstype,
                 "boot_label": answers.boot_label, "mount_points": list(answers.mount_points),
                 "mode": prepared.assembly.mode, "mode_reason": prepared.assembly.reason},
    }
