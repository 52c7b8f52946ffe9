"""`pydib resolve`: expand elements by their dependencies."""

from __future__ import annotations

import json
import os
import shlex
import sys

import click

from pydib import recipe
from pydib.element.resolve import Resolution, resolve, with_defaults
from pydib.element.shelf import find_elements


@click.command()
@click.argument("elements", nargs=-1, required=True, metavar="ELEMENT...")
@click.option("--json", "style", flag_value="json", help='Print {"elements": [{"name": ..., "path": ...}, ...]}.')
@click.option("--env", "style", flag_value="env", help="Print bash code that sets IMAGE_ELEMENT and its companions.")
@click.option("--dot", "style", flag_value="dot", help="Print the dependencies as a Graphviz graph.")
def command(elements: tuple[str, ...], style: str | None) -> None:
    """Expand ELEMENTs by element-deps and element-provides: one name and path a line, in the order of the build.

    As in a build, `vm` brings a block-device element when none is named; `base` is not added.
    """
    given = recipe.from_environment(os.environ, elements=elements)
    wanted = with_defaults(recipe.words(" ".join(elements)), arch=given.arch, base=False)
    resolution = resolve(wanted, find_elements(given.elements_path))
    sys.stdout.write(_STYLES[style or "lines"](resolution))


def _lines(resolution: Resolution) -> str:
    return "".join(f"{element.name} {element.path}\n" for element in resolution.elements)


def _json(resolution: Resolution) -> str:
    rows = [{"name": element.name, "path": str(element.path)} for element in resolution.elements]
    return json.dumps({"elements": rows}, indent=2) + "\n"


def _env(resolution: Resolution) -> str:
    """Bash code with the variables and the function of C-041."""
    names = " ".join(resolution.names)
    yaml = json.dumps({element.name: str(element.path) for element in resolution.elements})
    pairs = " ".join(f"[{element.name}]={element.path}" for element in resolution.elements)
    return (f"export IMAGE_ELEMENT={shlex.quote(names)}\n"
            f"export IMAGE_ELEMENT_YAML={shlex.quote(yaml)}\n"
            f"function get_image_element_array {{\n  echo {shlex.quote(pairs + ' ')}\n}}\n"
            "export -f get_image_element_array\n")


def _dot(resolution: Resolution) -> str:
    kept = set(resolution.names)
    lines = ["digraph elements {", "  rankdir=LR;"]
    for element in resolution.elements:
        lines.append(f"  {json.dumps(element.name)};")
        for name in element.depends:
            real = name if name in kept else resolution.provided.get(name, "")
            if real in kept:
                label = "" if real == name else f" [label={json.dumps(name)}]"
                lines.append(f"  {json.dumps(element.name)} -> {json.dumps(real)}{label};")
    return "\n".join([*lines, "}"]) + "\n"


_STYLES = {"lines": _lines, "json": _json, "env": _env, "dot": _dot}
