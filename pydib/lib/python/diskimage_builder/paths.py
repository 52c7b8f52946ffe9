"""Where the library ($_LIB) and the built-in elements lie."""

from __future__ import annotations

import sys

from pydib.paths import elements_dir, lib_dir

_PLACES = {"lib": lib_dir, "elements": elements_dir}


def get_path(var: str) -> str:
    """The absolute path of `lib` or `elements`.

    Raises:
        SystemExit: another name; exit code 1.
    """
    if var not in _PLACES:
        sys.stderr.write(f"there is no path {var!r}; known are lib and elements\n")
        raise SystemExit(1)
    return str(_PLACES[var]())


def show_path(var: str) -> None:
    """Print that path."""
    sys.stdout.write(get_path(var) + "\n")
