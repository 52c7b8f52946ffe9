"""Layers that a build takes from directories which machines share (--cache-from), and gives (--cache-to)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from pydib import events
from pydib.errors import CommandFailed
from pydib.layer.exchange import Exchange, NotTaken
from pydib.layer.lookup import Found
from pydib.layer.records import Outcome, Ran
from pydib.layer.store import Store
from pydib.recipe import Recipe

LookUp = Callable[[Sequence[Outcome], Callable[[str], str]], Found]
"""Which of some outcomes stands; the second argument tells why a state cannot be used."""


class Sharing:
    """The directories of one build. Where one fails the build goes on, with a warning."""

    def __init__(self, recipe: Recipe, store: Store, report: events.Reporter) -> None:
        self._store, self._report = store, report
        self._told: set[str] = set()
        self._taken = 0
        self._from = [Exchange(folder, store) for folder in recipe.cache_from]
        self._to = [Exchange(folder, store) for folder in filter(None, [recipe.cache_to])]
        for exchange in (*self._from, *self._to):
            with self._failing(exchange):
                exchange.check()
        for exchange in self._to:
            with self._failing(exchange):
                _check_writable(exchange)

    @contextmanager
    def _failing(self, exchange: Exchange) -> Iterator[None]:
        """What fails in the block is told, and the directory is not used any more."""
        try:
            yield
        except (OSError, CommandFailed, NotTaken) as error:
            self._from = [one for one in self._from if one is not exchange]
            self._to = [one for one in self._to if one is not exchange]
            self._warn(f"layers are no longer exchanged with {exchange.folder}: {_reason(error)}")

    def _warn(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._report(events.Warned(text=text))

    def find(self, key: str, look_up: LookUp, objection: str) -> Found:
        """An outcome that stands, out of one of the directories, with its state brought into the store; or why there
        is none: `objection`, which is the store's, else that of a directory."""
        for exchange in list(self._from):
            with self._failing(exchange):
                found = look_up(exchange.outcomes(key), partial(self._bring, exchange))
                if found.outcome is not None:
                    self._taken += 1
                    self._store.keep_log(exchange.log(found.outcome.output))
                    self._store.keep_outcome(key, found.outcome)
                    return found
                objection = objection or found.objection
        return Found(objection=objection)

    def _bring(self, exchange: Exchange, state: str) -> str:
        try:
            exchange.fetch(state)
        except NotTaken as problem:
            self._warn(f"a layer is not taken from {exchange.folder}: {_reason(problem)}")
            return problem.what
        return ""

    def give(self, lines: Sequence[Ran]) -> None:
        """Put what became of these scripts into the directory that gets layers."""
        if self._taken:
            self._report(events.Note(text=f"{self._taken} scripts' layers came from "
                                          f"{', '.join(str(one.folder) for one in self._from)}"))
        for exchange in list(self._to):
            with self._failing(exchange):
                for line in lines:
                    for outcome in self._store.outcomes(line.outcome):
                        if outcome.after == line.after and not outcome.not_reusable:
                            exchange.offer(line.outcome, outcome)
            if exchange.given:
                self._report(events.Note(text=f"{exchange.given} layers were put into {exchange.folder}"))


def _check_writable(exchange: Exchange) -> None:
    if not os.access(exchange.folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "you may not write to it")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).replace("\n", "; ")
