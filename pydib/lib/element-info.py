#!/usr/bin/env python3
"""What a list of elements expands to: `$DIB_PYTHON_EXEC $_LIB/element-info.py [--env] ELEMENT...` (C-041, C-042).

Prints the names on one line. With --env: bash code that exports IMAGE_ELEMENT and IMAGE_ELEMENT_YAML (name: path) and
defines get_image_element_array. ELEMENTS_PATH must be set. Any error is one message on stderr, and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

try:
    import pydib  # noqa: F401
except ImportError:  # another Python than pydib's own: it lies two folders up
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from pydib.element.resolve import Resolution, resolve
from pydib.element.shelf import find_elements, split_elements_path
from pydib.errors import ElementError, PydibError


def main(arguments: list[str] | None = None) -> int:
    """Print what the arguments ask for; gives the exit code."""
    parser = argparse.ArgumentParser(prog="element-info.py", description="Expand elements by their dependencies.")
    parser.add_argument("elements", nargs="+", help="names of elements")
    parser.add_argument("-e", "--env", action="store_true", help="print bash code that sets IMAGE_ELEMENT and the like")
    given = parser.parse_args(arguments)
    try:
        found = _resolved(given.elements)
    except PydibError as error:
        sys.stderr.write(f"element-info.py: {error}\n")
        return 1
    sys.stdout.write(environment_code(found) if given.env else " ".join(found.names) + "\n")
    return 0


def _resolved(wanted: list[str]) -> Resolution:
    places = split_elements_path(os.environ.get("ELEMENTS_PATH", ""))
    if not places:
        raise ElementError("ELEMENTS_PATH must be set", hint="set it to folders of elements, separated by colons")
    return resolve(wanted, find_elements(places))


def environment_code(found: Resolution) -> str:
    """Bash code for --env. A path with blanks cannot be in get_image_element_array (C-198)."""
    paths = {element.name: str(element.path) for element in found.elements}
    pairs = "".join(f"[{name}]={path} " for name, path in paths.items())
    return (f"export IMAGE_ELEMENT={shlex.quote(' '.join(found.names))}\n"
            f"export IMAGE_ELEMENT_YAML={shlex.quote(json.dumps(paths))}\n"
            f"function get_image_element_array {{\n  echo {shlex.quote(pairs)}\n}}\n"
            "export -f get_image_element_array\n")


if __name__ == "__main__":
    sys.exit(main())
