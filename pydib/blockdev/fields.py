"""Reading the settings of one entry: each key once, with its type, and a word about keys that nobody knows."""

from __future__ import annotations

import difflib
import shlex
from typing import Any

from pydib.blockdev.document import MODULES, Map
from pydib.errors import BlockDeviceConfigError
from pydib.sizes import parse_size


class Fields:
    """The settings of one entry.

    Args:
        values: the map.
        where: where it stands, for errors.
        warnings: gets a line for each key that has no meaning. DIB ignores those, so they are no error.
    """

    def __init__(self, values: Map, where: str, warnings: list[str]) -> None:
        self._values = values
        self._known = {"name", "base"}
        self._warnings = warnings
        self.where = where

    def text(self, key: str, default: str | None = None) -> str:
        """A text; required without `default`. Lists and maps are errors."""
        value = self._take(key)
        if value is None:
            if default is None:
                raise self.error(f"'{key}' is missing", hint=f"add '{key}:'")
            return default
        if not isinstance(value, str):
            raise self.error(f"'{key}' must be text, not {value!r}", hint=f"write '{key}: value'")
        return value

    def size(self, key: str, default: int | None = None) -> int | None:
        """A size in bytes (C-214)."""
        text = self.text(key, "")
        return self.parsed_size(text) if text else default

    def parsed_size(self, text: str, *, whole: int | None = None) -> int:
        """`text` in bytes, with this entry named in the error."""
        try:
            return parse_size(text, whole=whole)
        except BlockDeviceConfigError as problem:
            raise self.error(problem.what, hint=problem.hint) from None

    def number(self, key: str, default: int) -> int:
        """A whole number from 0."""
        text = self.text(key, str(default))
        if not text.isascii() or not text.isdecimal():
            raise self.error(f"'{key}' must be a whole number, not {text!r}", hint=f"for example '{key}: {default}'")
        return int(text)

    def words(self, key: str) -> tuple[str, ...] | None:
        """Words: a list of texts, or one text with blanks between them, quotes as in a shell. None when absent."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        if not isinstance(value, str):
            raise self.error(f"'{key}' must be words, not {value!r}", hint=f"write '{key}: [word, word]'")
        try:
            return tuple(shlex.split(value))
        except ValueError as problem:
            raise self.error(f"'{key}' cannot be split into words: {problem}", hint="close the quotation") from None

    def maps(self, key: str) -> list[Map]:
        """A list of maps; required, not empty."""
        value = self._take(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, Map) for item in value):
            raise self.error(f"'{key}' must be a list of maps" if value else f"'{key}' is missing or empty",
                             hint=f"write '{key}:' and below it items '- name: ...'")
        return value

    def nested(self, values: Map, kind: str) -> Fields:
        """The settings of an item in a list of this entry; `kind` says in errors what it is."""
        document = self.where.rpartition(", line ")[0]
        name = values.get("name", "")
        return Fields(values, f"{document}, line {values.line}: {kind} {name}".rstrip(), self._warnings)

    def error(self, what: str, *, hint: str) -> BlockDeviceConfigError:
        """An error about this entry."""
        return BlockDeviceConfigError(what, where=self.where, hint=hint)

    def finish(self) -> None:
        """Warn of keys that nobody asked for.

        Raises:
            BlockDeviceConfigError: an unknown key holds a whole map: a filesystem or a mount would be lost.
        """
        for key in self._values.repeated:
            self._warnings.append(f"{self.where}: the key '{key}' is there twice; the last one counts")
        for key in self._values:
            if key in self._known or key in MODULES:
                continue
            close = difflib.get_close_matches(str(key), [*self._known, *MODULES], n=1)
            meant = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(sorted(self._known))}"
            if isinstance(self._values[key], Map):
                raise self.error(f"there is no block-device module {key!r} to nest here", hint=meant)
            self._warnings.append(f"{self.where}: the key '{key}' has no meaning and is ignored; {meant}")

    def _take(self, key: str) -> Any:
        self._known.add(key)
        return self._values.get(key)
