"""Ready roots: what scripts look at in a distribution, as text. `fixtures/roots/` has them, a file each.

A file says `like: NAME` to begin with another one. Its keys: `env` (variables of a build on it), `family` (whose
package tools there are), `split-usr` (/bin, /sbin, /lib and /lib64 are directories of their own), `directories` and
`modes` (octal), `owners` (`user:group`, by number), `files`, `links`, and `without` (paths taken away again).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOTS = (Path(__file__).parents[1] / "_data/roots", Path(__file__).parents[2] / "fixtures/roots")
"""Where the ready roots lie: in a wheel, in a checkout."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """One ready root."""

    family: str = ""
    split_usr: bool = False
    env: dict[str, str] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    owners: dict[str, tuple[int, int]] = field(default_factory=dict)


def ready_root(name: str, shelves: Iterable[Path] = ()) -> Ready:
    """The ready root `name`, from the first of `shelves` (then ours) that has it.

    Raises:
        LookupError: there is no such ready root; the message names those there are.
    """
    places = (*shelves, *ROOTS)
    for shelf in places:
        if (shelf / f"{name}.yaml").is_file():
            return _read(shelf / f"{name}.yaml", places)
    raise LookupError(f"there is no ready root {name!r}; there are: {', '.join(ready_names(places)) or 'none'}")


def ready_names(shelves: Iterable[Path] = ROOTS) -> list[str]:
    """Names of the ready roots on `shelves`."""
    return sorted({file.stem for shelf in shelves for file in shelf.glob("*.yaml")})


@cache
def _read(file: Path, places: tuple[Path, ...]) -> Ready:
    text: dict[str, Any] = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    base = ready_root(text["like"], places) if "like" in text else Ready()
    without = set(text.get("without", ()))

    def merged(key: str, more: dict[str, Any]) -> dict[str, Any]:
        return {**{path: value for path, value in getattr(base, key).items() if path not in without}, **more}

    return Ready(
        family=text.get("family", base.family), split_usr=bool(text.get("split-usr", base.split_usr)),
        env={**base.env, **{key: str(value) for key, value in text.get("env", {}).items()}},
        directories=merged("directories", _octal(text, "directories")),
        files=merged("files", {path: content or "" for path, content in text.get("files", {}).items()}),
        links=merged("links", text.get("links", {})), modes=merged("modes", _octal(text, "modes")),
        owners=merged("owners", {path: _owner(value) for path, value in text.get("owners", {}).items()}))


def _octal(text: dict[str, Any], key: str) -> dict[str, int]:
    return {path: int(str(mode), 8) for path, mode in text.get(key, {}).items()}


def _owner(value: object) -> tuple[int, int]:
    user, _, group = str(value).partition(":")
    return int(user), int(group)
