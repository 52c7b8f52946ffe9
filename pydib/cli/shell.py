"""`pydib shell`: the tree of a build as it is before or after one of its scripts, in a shell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from pydib.cli.build import make_recipe, recipe_options
from pydib.errors import RecipeError
from pydib.recipe import Wishes


@click.command()
@recipe_options
@click.option("--before", metavar="SCRIPT", help="Stop before this script, for example install.d/20-x.")
@click.option("--after", metavar="SCRIPT", help="Stop after this script.")
def command(before: str | None, after: str | None, **options: Any) -> int:
    """Open a shell in front of a script of a build, or behind it: with its tree, its environment and, in target phases,
    in the target. What is not in layers yet is built first. Nothing that the shell does is kept, and no image is made.
    """
    from pydib.build import run_build

    if bool(before) == bool(after):
        raise RecipeError("one of --before and --after is needed",
                          hint="for example: pydib shell --before install.d/20-x debian-minimal vm")
    recipe = replace(make_recipe(options), shell_before=before or "", shell_after=after or "")
    return run_build(recipe, Wishes(style="quiet"))
