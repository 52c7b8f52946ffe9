"""`pydib new element`: an element to begin with, and a first test that passes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from pydib.errors import ElementError
from pydib.template import render


@click.group()
def command() -> None:
    """Write something new to begin with."""


@command.command("element")
@click.argument("name")
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path(), show_default="here",
              help="The folder in which the element's folder is made.")
def element(name: str, folder: Path) -> None:
    """Write the element NAME: a script, a README and a test, which passes."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ElementError(f"{name!r} is no name for an element",
                           hint="use small letters, digits, - and _, beginning with a letter or digit")
    target = folder / name
    if target.exists():
        raise ElementError(f"{target} is there already", hint="choose another name, or remove it")
    try:
        for path, template in TEMPLATES.items():
            file = target / path.format(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(render(f"new-element/{template}", element=name, line="=" * len(name),
                                   variable=name.replace("-", "_").upper()))
            file.chmod(0o755 if template == "script" else 0o644)
        (target / "element-deps").write_text("package-installs\n")
    except OSError as error:
        raise ElementError(f"the element cannot be written: {error.strerror}", where=str(error.filename)) from None
    sys.stdout.write(f"{target} is written. Try its test: pydib test {target}\n")


TEMPLATES = {"README.rst": "README.rst", "install.d/50-{}": "script", "tests/test_{}.py": "test"}
"""Files of a new element, and the templates (in `pydib/templates/new-element/`) that they are made from."""
