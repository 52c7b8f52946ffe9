"""`pydib elements`: what elements there are."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import click

from pydib import recipe
from pydib.element.hooks import merge
from pydib.element.shelf import Element, Shelf, find_elements
from pydib.element.variables import Variable, documented, page_of
from pydib.errors import ElementNotFound


@click.command()
@click.argument("name", required=False)
@click.option("--search", "word", metavar="WORD", help="Only elements whose name, variables or README have WORD.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, word: str | None, as_json: bool) -> int:
    """List all elements on ELEMENTS_PATH, one a line, or show the element NAME in full."""
    shelf = find_elements(recipe.from_environment(os.environ, elements=["x"]).elements_path)
    if name is not None and word is not None:
        raise click.UsageError("name an element, or --search for some, not both")
    if word is not None:
        return _search(shelf, word, as_json=as_json)
    if name is None:
        sys.stdout.write(_list(shelf, as_json=as_json))
        return 0
    if name not in shelf:
        close = shelf.close_to(name)
        raise ElementNotFound(f"Element '{name}' not found",
                              where="ELEMENTS_PATH " + ":".join(map(str, shelf.searched)),
                              hint=f"did you mean {' or '.join(close)}?" if close else "`pydib elements` lists all")
    facts = _facts(shelf[name])
    sys.stdout.write(json.dumps(facts, indent=2) + "\n" if as_json else _text(facts))
    return 0


def _search(shelf: Shelf, word: str, *, as_json: bool) -> int:
    """List elements that have `word`, those with it in their name first, each with the line; 1 if there is none."""
    found = [{"name": element.name, "path": str(element.path), "line": line}
             for element in shelf if (line := _line_with(element, word.lower())) is not None]
    found.sort(key=lambda row: word.lower() not in row["name"])
    if as_json:
        sys.stdout.write(json.dumps({"elements": found}, indent=2) + "\n")
    else:
        width = max((len(row["name"]) for row in found), default=0)
        sys.stdout.writelines(f"{row['name']:<{width}}  {row['line']}".rstrip() + "\n" for row in found)
    if not found:
        sys.stderr.write(f"no element on ELEMENTS_PATH has {word!r} in its name or README\n")
    return 0 if found else 1


def _line_with(element: Element, word: str) -> str | None:
    """The first line of the README that has `word` in it, empty when only the name has; None if neither."""
    lines = (line.strip() for line in page_of(element.path).splitlines())
    text = next((line for line in lines if word in line.lower() and line != element.name), None)
    return "" if text is None and word in element.name.lower() else text


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
    readme = page_of(element.path)
    return {
        "name": element.name, "path": str(element.path), "overrides": [str(path) for path in element.overrides],
        "depends": list(element.depends), "provides": list(element.provides),
        "variables": [asdict(variable) for variable in documented(readme)], "files": files, "readme": readme,
    }


def _text(facts: dict[str, object]) -> str:
    lines = []
    for key in ("name", "path", "overrides", "depends", "provides", "variables", "files"):
        value = facts[key]
        if key == "variables" and isinstance(value, list):
            value = [_summary(Variable(**variable)) for variable in value]
        shown = "\n".join(f"  {item}" for item in value) if isinstance(value, list) else f"  {value}"
        if value:
            lines.append(f"{key}\n{shown}")
    return "\n".join(lines) + "\n\n" + str(facts["readme"])


def _summary(variable: Variable) -> str:
    """A variable in one line; the README below says it in full."""
    told = "required" if variable.required else f"default {variable.default}" if variable.default else "not set"
    return f"{variable.name} ({told}): {variable.meaning}"
