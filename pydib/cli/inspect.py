"""`pydib inspect`: what is in an image, for people or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydib.verify.inspection import Inspection


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.option("--packages", "list_packages", is_flag=True, help="Name every package, not just their number.")
def command(image: Path, as_json: bool, list_packages: bool) -> int:
    """Look into IMAGE without mounting it: partitions, filesystems, system, kernels, boot loader, packages."""
    from pydib.verify.disk import inspect

    found = inspect(image)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else as_text(found, list_packages=list_packages),
               nl=as_json)
    return 0


def as_text(found: Inspection, *, list_packages: bool = False) -> str:
    """The inspection for people."""
    from pydib.sizes import human_size
    from pydib.template import render

    return render("inspection.txt", found=found, human_size=human_size, list_packages=list_packages)
