"""Layers in a directory that machines share: NFS, or the mount of a bucket. It holds plain files only, which are
written aside and renamed; nothing is locked, and nothing in it is ever changed.

    format.json                  {"version": 1}
    states/ID                    records of states, as in the store, with the sockets in them
    layers/DIGEST.TIME.tar.zst   layers, by the digest of their content and the time when their script began
    outcomes/KEY/DIGEST          what scripts led to, one a file
    logs/DIGEST                  what scripts printed

A layer is unpacked into the store, and its content compared with the digest in its state's name, before it is used.
Whoever may write to the directory decides, like whoever may write to the elements, what is in the images.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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


@dataclass(frozen=True, kw_only=True)
class _Socket:
    """What archives do not hold; `name` is its path in the layer."""

    name: str
    mode: int
    owner: int
    group: int
    mtime_ns: int

    def make(self, upper: Path) -> None:
        """Make it in the layer that lies in `upper`; its folder keeps its time of change.

        Raises:
            OSError: there is no such folder, or a link in its place.
        """
        path = upper / self.name
        if os.path.realpath(path.parent) != os.fspath(upper.resolve() / Path(self.name).parent):
            raise NotADirectoryError(errno.ENOTDIR, "a link is in the way", str(path.parent))
        before = path.parent.stat()
        os.mknod(path, stat.S_IFSOCK | stat.S_IMODE(self.mode))
        os.chown(path, self.owner, self.group)
        path.chmod(stat.S_IMODE(self.mode))
        os.utime(path, ns=(self.mtime_ns, self.mtime_ns))
        os.utime(path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def _sockets_in(upper: Path) -> Iterator[_Socket]:
    for place, _, names in os.walk(upper):
        for name in names:
            path = Path(place, name)
            info = path.lstat()
            if stat.S_ISSOCK(info.st_mode):
                yield _Socket(name=str(path.relative_to(upper)), mode=info.st_mode, owner=info.st_uid,
                              group=info.st_gid, mtime_ns=info.st_mtime_ns)


class NotTaken(PydibError):
    """A layer of the directory cannot be used here."""


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
            OSError: it is not there, or cannot be read.
        """
        self.folder.stat()
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
        missing: list[tuple[State, list[_Socket]]] = []
        while name != keys.EMPTY and self._store.claim(name):
            missing.append(self._state(name))
            name = missing[-1][0].parent
        for state, sockets in reversed(missing):
            self._fetch(state, sockets)

    def _state(self, name: str) -> tuple[State, list[_Socket]]:
        data = dict(_read(self.folder / "states" / name) or {})
        with contextlib.suppress(KeyError, TypeError, ValueError):
            sockets = [_Socket(**one) for one in data.pop("sockets")]
            state = state_from(data)
            if state.id == name == state.own_name():
                return state, sockets
        raise NotTaken("the record of a layer is missing or damaged", where=str(self.folder / "states" / name))

    def _fetch(self, state: State, sockets: Sequence[_Socket]) -> None:
        work = self._store.work()
        if state.upper:
            archive = self._archive(state)
            try:
                run("tar", "--extract", "--preserve-permissions", "--same-owner", *_TAR, "--file", archive,
                    "--directory", work.upper)
                for one in sockets:
                    one.make(work.upper)
            except (CommandFailed, NotADirectoryError) as error:
                why = error.what if isinstance(error, CommandFailed) else error.strerror
                raise NotTaken(f"the layer that {state.made_by} made cannot be unpacked: {why}",
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
        upper = self._store.layers / state.upper
        if state.upper:
            with self._aside(self._archive(state)) as aside:
                run("tar", "--create", "--format=posix", "--sparse", "--sort=name", *_TAR, "--file", aside,
                    "--directory", upper, ".")
            self.given += 1
        sockets = [asdict(one) for one in _sockets_in(upper)] if state.upper else []
        self._write(path, sealed(keys.as_text({**replace(state, signature="").as_json(), "sockets": sockets})))

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
