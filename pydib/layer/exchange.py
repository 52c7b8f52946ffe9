"""Layers in a directory that machines share: NFS, or the mount of a bucket. It holds plain files only, which are
written aside and renamed; nothing is locked, and nothing in it is ever changed.

    format.json                  {"version": 1}
    states/ID                    records of states, as in the store
    layers/DIGEST.TIME.tar.zst   layers, by the digest of their content and the time when their script began
    outcomes/KEY/DIGEST          what scripts led to, one a file
    logs/DIGEST                  what scripts printed

A layer is unpacked into the store, and its content compared with the digest in its state's name, before it is used.
Whoever may write to the directory decides, like whoever may write to the elements, what is in the images.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydib.errors import CommandFailed, PydibError
from pydib.host.command import run
from pydib.layer import keys
from pydib.layer.content import content_of
from pydib.layer.records import Outcome, State, outcome_from, state_from
from pydib.layer.sealed import sealed, unsealed
from pydib.layer.store import Store, lines_in

VERSION = 1
_TAR = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "--use-compress-program=zstd -T0 -3 --quiet")
_MOST_OUTCOMES = 16
"""So many outcomes of one script and its inputs are looked at, the newest first."""


class NotTaken(PydibError):
    """A layer cannot be taken from the directory, or into it."""


class Exchange:
    """One such directory, and the store that it goes with."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._store = folder, store
        self.given = 0
        """How many layers were put there."""

    def check(self) -> None:
        """Look whether the directory is one of ours, or empty.

        Raises:
            NotTaken: it has another format.
            OSError: it cannot be read.
        """
        with contextlib.suppress(FileNotFoundError):
            try:
                version = json.loads((self.folder / "format.json").read_text())["version"]
            except (ValueError, KeyError, TypeError):
                version = "that cannot be read"
            if version != VERSION:
                raise NotTaken(f"it has format {version}; this pydib knows format {VERSION}", where=str(self.folder))

    # on the way in

    def outcomes(self, key: str) -> tuple[Outcome, ...]:
        """What scripts with that static key led to elsewhere, the newest first."""
        found = []
        with contextlib.suppress(OSError):
            for path in (self.folder / "outcomes" / key).iterdir():
                data = _read(path)
                with contextlib.suppress(KeyError, TypeError):
                    if data is not None:
                        found.append(outcome_from(data))
        return tuple(sorted(found, key=lambda one: -one.created)[:_MOST_OUTCOMES])

    def fetch(self, name: str) -> None:
        """Bring the state `name`, and all that it grew from, into the store, as far as they are not there.

        Raises:
            NotTaken: one of them is missing, or is not what it is called.
            OSError: the store, or the directory, fails.
        """
        missing: list[State] = []
        while name != keys.EMPTY and self._store.claim(name):
            state = self._state(name)
            missing.append(state)
            name = state.parent
        for state in reversed(missing):
            self._fetch(state)

    def _state(self, name: str) -> State:
        data = _read(self.folder / "states" / name)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            state = state_from(data or {})
            if state.id == name == state.own_name():
                return state
        raise NotTaken("the record of a layer is missing or damaged", where=str(self.folder / "states" / name))

    def _fetch(self, state: State) -> None:
        work = self._store.work()
        if state.upper:
            archive = self._archive(state)
            try:
                run("tar", "--extract", "--preserve-permissions", "--same-owner", *_TAR, "--file", archive,
                    "--directory", work.upper)
            except CommandFailed as error:
                raise NotTaken(f"the layer that {state.made_by} made cannot be unpacked: {error.what}",
                               where=str(archive)) from None
            found = content_of(work.upper, state.when)
            if not state.holds(found):
                raise NotTaken(f"the layer that {state.made_by} made is not what was written", where=str(archive))
            state = replace(state, upper="u", signature=found.signature)
        self._store.take(work, state)

    def log(self, name: str) -> list[str]:
        """What a script printed; nothing when it is not there."""
        return lines_in(self.folder / "logs" / name) if name else []

    # on the way out

    def offer(self, key: str, outcome: Outcome) -> None:
        """Put an outcome of the store there, with all the states that lead to it, if it is not there already.

        Raises:
            OSError, CommandFailed: the directory takes no more.
            NotTaken: an archive cannot hold one of the layers.
        """
        data = outcome.as_json()
        path = self.folder / "outcomes" / key / keys.digest({**data, "created": 0, "seconds": 0})
        if path.exists():
            return
        self._write(self.folder / "format.json", json.dumps({"version": VERSION}).encode() + b"\n")
        for state in self._store.chain(outcome.after) or ():
            self._offer_state(state)
        if outcome.output:
            with contextlib.suppress(FileNotFoundError):
                self._write(self.folder / "logs" / outcome.output,
                            (self._store.folder / "logs" / outcome.output).read_bytes())
        self._write(path, sealed(keys.as_text(data)))

    def _offer_state(self, state: State) -> None:
        path = self.folder / "states" / state.id
        if path.exists():
            return
        if state.upper:
            self._refuse_sockets(state)
            with self._aside(self._archive(state)) as aside:
                run("tar", "--create", "--format=posix", "--sparse", "--sort=name", *_TAR, "--file", aside,
                    "--directory", self._store.layers / state.upper, ".")
            self.given += 1
        self._write(path, sealed(keys.as_text(replace(state, signature="").as_json())))

    def _refuse_sockets(self, state: State) -> None:
        for place, _, names in os.walk(self._store.layers / state.upper):
            for name in names:
                if stat.S_ISSOCK(os.lstat(os.path.join(place, name)).st_mode):
                    raise NotTaken(f"the layer that {state.made_by} made holds a socket, {name}, which archives do not",
                                   where=str(self.folder), hint="remove it in that script")

    def _archive(self, state: State) -> Path:
        return self.folder / "layers" / f"{state.content}.{state.window[0]}.tar.zst"

    def _write(self, path: Path, data: bytes) -> None:
        with self._aside(path) as aside:
            aside.write_bytes(data)

    @contextlib.contextmanager
    def _aside(self, path: Path) -> Iterator[Path]:
        """Another name for the file at `path`, which gets its own when the block has written it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}~")
        try:
            yield aside
            os.rename(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(unsealed(path.read_bytes()))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
