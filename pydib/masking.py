"""Keeping secrets out of what is written: the values of variables that `--secret` names.

A value is hidden in each form in which it usually gets into a log: as it is, as a shell's trace quotes it, and as part
of a URL; each line of a value that has several.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from pydib.errors import RecipeError

SHOWN = "***"
LEAST_CHARACTERS = 4
_T = TypeVar("_T")


def values_of(names: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables `names`.

    Raises:
        RecipeError: there is no such variable, or its value is too short to be told from other text.
    """
    found = []
    for name in names:
        value = environment.get(name, "")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or not value:
            raise RecipeError(f"the secret {name!r} is no variable of the environment", where=f"--secret {name}",
                              hint=f"export it: --secret takes a variable's name, not a value; or leave out {name!r}")
        if len(value.strip()) < LEAST_CHARACTERS:
            raise RecipeError(f"the value of {name} is too short to be kept secret", where=f"--secret {name}",
                              hint=f"use one of at least {LEAST_CHARACTERS} characters")
        found.append(value)
    return tuple(found)


class Mask:
    """Hides `values` in texts.

    >>> Mask(["s3cret"]).text("curl -u me:s3cret")
    'curl -u me:***'
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """`text` with every value in it replaced by three asterisks."""
        return self._pattern.sub(SHOWN, text) if self._pattern else text

    def event(self, event: _T) -> _T:
        """A dataclass whose texts, those in tuples too, are masked."""
        if not self._pattern or not is_dataclass(event) or isinstance(event, type):
            return event
        masked = {field.name: self._any(getattr(event, field.name)) for field in fields(event)}
        return replace(event, **masked)

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        return tuple(map(self._any, value)) if isinstance(value, tuple) else value


def _forms(value: str) -> set[str]:
    """As it is, in single quotes (a shell's trace), in double quotes, with backslashes (printf %q), in a URL."""
    lines = {line.strip() for line in (value, *value.splitlines())}
    quoted = {form for line in lines for form in (
        line, line.replace("'", "'\\''"), re.sub(r'([\\"$`])', r"\\\1", line),
        re.sub(r"([^\w@%+=:,./-])", r"\\\1", line), quote(line), quote(line, safe=""), quote_plus(line))}
    return {form for form in quoted if len(form) >= LEAST_CHARACTERS}
