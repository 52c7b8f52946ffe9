"""`pydib blame`: which script wrote a file of an image."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pydib import template
from pydib.cli.cache import store_of
from pydib.errors import RecipeError
from pydib.layer.history import blame, build_of


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("path")
@click.option("--image-cache", type=click.Path(path_type=Path), help="The cache that the build used.")
def command(image: Path, path: str, image_cache: Path | None) -> None:
    """Name the scripts that wrote, changed or removed PATH in IMAGE, the last one first, and the lines of their output
    that name the file."""
    with store_of(image_cache) as store:
        build = build_of(store, image)
        touches = blame(store, build, path)
    if not touches:
        raise RecipeError(f"no script of the build has to do with {path}", where=str(image),
                          hint="give its path in the image, for example /etc/hosts")
    sys.stdout.write(template.render("blame.txt", touches=touches))
