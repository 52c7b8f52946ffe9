"""`pydib why`: which scripts of the last build ran, and which input made them run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from pydib import template
from pydib.cli.cache import store_of
from pydib.errors import RecipeError
from pydib.layer.history import ran_line


@click.command()
@click.argument("script", required=False)
@click.option("--image-cache", type=click.Path(path_type=Path), help="The cache that the build used.")
@click.option("--output", "show_output", is_flag=True, help="Show what SCRIPT printed when it last ran.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(script: str | None, image_cache: Path | None, show_output: bool, as_json: bool) -> None:
    """Say for each script of the last build, or for SCRIPT, whether it ran and why."""
    with store_of(image_cache) as store:
        build = next(store.builds(), None)
        if build is None:
            raise RecipeError("no build is known", where=str(store.folder), hint="build an image first, with layers")
        lines = build.scripts
        if script is not None:
            found = ran_line(build, script)
            if found is None:
                raise RecipeError(f"the last build had no script {script}", where=build.image,
                                  hint="`pydib why` lists them")
            lines = (found,)
            if show_output:
                sys.stdout.write("".join(line + "\n" for line in store.log(found.output)))
                return
    if as_json:
        facts = {"image": build.image, "scripts": [asdict(line) for line in lines]}
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    sys.stdout.write(template.render("why.txt", build=build, lines=lines))
