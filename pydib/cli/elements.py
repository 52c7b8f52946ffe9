"""`pydib elements`: what elements there are."""

from __future__ import annotations

import json
import os
import sys

import click

from pydib import recipe
from pydib.element.hooks import merge
from pydib.element.shelf import Element, Shelf, find_elements
from pydib.errors import ElementNotFound


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List all elements on ELEMENTS_PATH, one a line, or show the element NAME in full."""
    shelf = find_elements(recipe.from_environment(os.environ, elements=["x"]).elements_path)
    if name is None:
        sys.stdout.write(_list(shelf, as_json=as_json))
        return
    if name not in shelf:
        close = shelf.close_to(name)
        raise ElementNotFound(f"Element '{name}' not found",
                              where="ELEMENTS_PATH " + ":".join(map(str, shelf.searched)),
                              hint=f"did you mean {' or '.join(close)}?" if close else "`pydib elements` lists all")
    facts = _facts(shelf[name])
    sys.stdout.write(json.dumps(facts, indent=2) + "\n" if as_json else _text(facts))


def _list(shelf: Shelf, *, as_json: bool) -> str:
    if as_json:
        rows = [{"name": element.name, "path": str(element.path)} for element in shelf]
        return json.dumps({"elements": rows}, indent=2) + "\n"
    if sys.stdout.isatty():
        width = max((len(element.name) for element in shelf), default=0)
        return "".join(f"{element.name:<{width}}  {element.path}\n" for element in shelf)
    return "".join(f"{element.name}\n" for element in shelf)


def _facts(element: Element) -> dict[str, object]:
    files = [entry.target for entry in merge([element]) if not entry.is_dir]
    readme = next((path for path in (element.path / "README.rst", element.path / "README.md") if path.is_file()), None)
    return {
        "name": element.name, "path": str(element.path), "overrides": [str(path) for path in element.overrides],
        "depends": list(element.depends), "provides": list(element.provides), "files": files,
        "readme": readme.read_text(encoding="utf-8", errors="replace") if readme else "",
    }


def _text(facts: dict[str, object]) -> str:
    lines = []
    for key in ("name", "path", "overrides", "depends", "provides", "files"):
        value = facts[key]
        shown = "\n".join(f"  {item}" for item in value) if isinstance(value, list) else f"  {value}"
        if value:
            lines.append(f"{key}\n{shown}")
    return "\n".join(lines) + "\n\n" + str(facts["readme"])
