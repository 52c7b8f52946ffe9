"""The store of layers: a directory that many builds share, on this machine.

    format            {"version": 1}, with "marks": "user" in a user namespace
    lock              held shared while a build looks something up or puts something in, exclusively while gc chooses
    putting           held exclusively while a build puts a state in
    leases/TOKEN      one for each running build, locked as long as it lives, with the names of the states it uses
    w/TOKEN.N/{u,w}   upper and work directories of running builds
    u/NAME            layers; the names are short, since the kernel takes one page of mount options
    states/ID         records of states, each written after its layer is in place
    outcomes/KEY      what scripts led to
    facts/DIGEST      what stands behind digests; logs/DIGEST what scripts printed, compressed
    builds/WHEN       records of builds

Every record begins with its own digest, and is written aside and renamed. A build that is killed leaves a lease that
nobody holds, and perhaps a layer without a record: `gc` removes both.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydib.errors import EngineError
from pydib.host.machine import in_user_namespace
from pydib.host.removal import remove_tree
from pydib.layer import keys
from pydib.layer.content import content_of, signature_of
from pydib.layer.records import BuildRecord, Outcome, State, build_from, outcome_from, state_from
from pydib.layer.sealed import sealed, unsealed

VERSION = 1
ALTERNATIVES = 8
"""So many outcomes are kept for one static key, the newest first."""
BUILDS_KEPT = 50
BASE = "0"
"""The empty directory at the bottom of every stack of layers."""
_FOLDERS = ("leases", "w", "u", "states", "outcomes", "facts", "logs", "builds", "images")
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_T = TypeVar("_T")


class StoreUnusable(EngineError):
    """The store cannot be used; the build goes on without layers."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The upper and work directories of one overlay, named relative to the layers' directory as mount takes them."""

    folder: Path

    @property
    def upper(self) -> Path:
        """What becomes the layer."""
        return self.folder / "u"

    @property
    def names(self) -> tuple[str, str]:
        """Upper and work directory, from the layers' directory."""
        return f"../w/{self.folder.name}/u", f"../w/{self.folder.name}/w"

    @property
    def place(self) -> Path:
        """A lower directory of this overlay only (see Tree.PLACE)."""
        return self.folder / "t"

    @property
    def place_name(self) -> str:
        """Its name, from the layers' directory."""
        return f"../w/{self.folder.name}/t"


class Store:
    """The directory of layers. A context manager: it holds a lease as long as it is open.

    Args:
        folder: where it lies.
        ahead: signatures that somebody took of its layers a moment ago, by state; asked for once, when the first is
            needed.
    """

    def __init__(self, folder: Path, *, ahead: Callable[[], dict[str, str]] = dict) -> None:
        self.folder = folder
        self._ahead = ahead
        self._signatures: dict[str, str] | None = None
        self.layers = folder / "u"
        self._healthy: dict[str, str] = {}
        """Why a state that was looked at cannot be used; empty when it can."""
        self._known: dict[str, State] = {}
        """States that we have a lease on."""
        self._numbers = iter(range(1 << 30))
        self.added = 0
        """How many states this build put in."""

    def __enter__(self) -> Store:
        try:
            self._prepare()
            self.lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self.shared():
                self.token = secrets.token_hex(4)
                path = self.folder / "leases" / self.token
                self._lease = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lease, fcntl.LOCK_EX)
        except OSError as error:
            raise StoreUnusable(f"the store of layers cannot be written: {error.strerror}", where=str(self.folder),
                                hint="make it writable, choose another place with --image-cache, or build with "
                                     "--no-cache") from None
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self.folder.glob(f"w/{self.token}.*"):
            remove(folder)
        with contextlib.suppress(OSError):
            (self.folder / "leases" / self.token).unlink()
        os.close(self._lease)
        os.close(self.lock)

    def _prepare(self) -> None:
        """Make what is missing; refuse what another version wrote."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_format({"version": VERSION, **({"marks": "user"} if in_user_namespace() else {})})
        for name in _FOLDERS:
            (self.folder / name).mkdir(exist_ok=True)
        base = self.layers / BASE
        if not base.is_dir():
            base.mkdir(exist_ok=True)
            base.chmod(0o755)

    def _check_format(self, ours: Mapping[str, Any]) -> None:
        """Owners of files, and overlay's marks on them, mean another thing to root than to an ordinary user."""
        path = self.folder / "format"
        try:
            found = json.loads(path.read_text())
            version = found["version"]
        except FileNotFoundError:
            found, version = ours, VERSION
            path.write_text(json.dumps(ours) + "\n")
        except (ValueError, KeyError, TypeError):
            version = None
        if version != VERSION:
            told = f"format {version}" if version else "a format that cannot be read"
            raise StoreUnusable(f"the store of layers has {told}; this pydib knows format {VERSION}",
                                where=str(self.folder),
                                hint="use the pydib that made it, remove it, or choose another with --image-cache")
        if self.folder.stat().st_uid != os.geteuid() or found.get("marks") != ours.get("marks"):
            raise StoreUnusable("the store of layers belongs to another user", where=str(self.folder),
                                hint="choose another place with --image-cache")

    @property
    def salt(self) -> bytes:
        """A secret of this store, for the digests of secret values."""
        path = self.folder / "salt"
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(descriptor, secrets.token_bytes(32))
                os.close(descriptor)
        return path.read_bytes()

    @property
    def pool(self) -> Path:
        """A directory for what this build carries from one overlay to the next; goes with the build."""
        return self.folder / "w" / f"{self.token}.pool"

    def free_bytes(self) -> int:
        """Room on the store's disk."""
        info = os.statvfs(self.folder)
        return info.f_bavail * info.f_frsize

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While the block lasts, gc removes nothing."""
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)

    # states

    def state(self, name: str) -> State | None:
        """The state of that name; None if there is none, or its record is damaged."""
        return self._known[name] if name in self._known else self.recorded(name)

    def recorded(self, name: str) -> State | None:
        """The same, as its record is now: another build may have found its layer damaged, and put in another."""
        found = self._read(self.folder / "states" / name, state_from)
        return found if found is not None and found.id == name == found.own_name() else None

    def chain(self, name: str) -> tuple[State, ...] | None:
        """The states from the first to `name`; None when one is missing."""
        found: list[State] = []
        while name != keys.EMPTY:
            state = self.state(name)
            if state is None:
                return None
            found.append(state)
            name = state.parent
        return tuple(reversed(found))

    def claim(self, name: str) -> str:
        """Take a lease on the state `name` and all that it grew from, having looked at each layer; gives why it cannot
        be used, or an empty text."""
        with self.shared():
            chain = self.chain(name)
            if chain is None:
                return "a layer that it is built on is missing"
            for state in chain:
                if problem := self._check_once(state):
                    return problem
                self._known[state.id] = state
        return ""

    def _check_once(self, state: State) -> str:
        if state.id not in self._healthy:
            os.write(self._lease, state.id.encode() + b"\n")
            self._healthy[state.id] = self._check(state)
        return self._healthy[state.id]

    def _check(self, state: State) -> str:
        """Why the layer cannot be used; empty when it is as it was written. The whole of it is read only when
        somebody touched it."""
        if not state.upper:
            return ""
        upper = self.layers / state.upper
        try:
            if self._signature(state) == state.signature:
                return ""
            found = content_of(upper, state.when)
        except OSError as error:
            self._forget(state)
            return f"its layer cannot be read: {error.strerror}"
        if not state.holds(found):
            self._forget(state)
            return f"its layer {state.upper}, made by {state.made_by}, was changed in the store"
        with contextlib.suppress(OSError):
            self._write(self.folder / "states" / state.id, keys.as_text(replace(state, signature=found.signature)
                                                                        .as_json()))
        return ""

    def _signature(self, state: State) -> str:
        if self._signatures is None:
            self._signatures = self._ahead()
        return self._signatures.pop(state.id, "") or signature_of(self.layers / state.upper)

    def _forget(self, state: State) -> None:
        """A damaged state is not found any more; its layer goes with the next gc."""
        self._known.pop(state.id, None)
        with contextlib.suppress(OSError):
            (self.folder / "states" / state.id).unlink()

    def work(self) -> Work:
        """Fresh directories for an overlay."""
        made = Work(folder=self.folder / "w" / f"{self.token}.{next(self._numbers)}")
        made.folder.mkdir()
        made.upper.mkdir()
        (made.folder / "w").mkdir()
        return made

    def take(self, work: Work, state: State) -> State:
        """Put the layer in `work` into the store as `state`; gives the state as it is kept there.

        If the store has that state already, it stays, and the new layer is dropped: from then on all build on the
        same one.
        """
        with self.shared(), self._alone():
            present = self.recorded(state.id)
            if present is None or self._check_once(present):
                present = self._put(work, state)
                self._healthy[present.id] = ""
                os.write(self._lease, present.id.encode() + b"\n")
            self._known[present.id] = present
        remove(work.folder)
        return present

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While the block lasts no other build puts a state in: two that made the same would each write a record, and
        gc would take the layer of one of them for nobody's."""
        descriptor = os.open(self.folder / "putting", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _put(self, work: Work, state: State) -> State:
        if state.upper:
            name = self._reserve()
            os.rename(work.upper, self.layers / name)
            state = replace(state, upper=name)
        self._write(self.folder / "states" / state.id, keys.as_text(state.as_json()))
        self.added += 1
        return state

    def _reserve(self) -> str:
        """A short name that no layer has; an empty directory keeps it until the layer takes its place."""
        while True:
            name = "".join(secrets.choice(_LETTERS) for _ in range(4))
            with contextlib.suppress(FileExistsError):
                (self.layers / name).mkdir()
                return name

    def used(self, names: Sequence[str]) -> None:
        """Note that these states were used now, for gc."""
        for name in names:
            with contextlib.suppress(OSError):
                os.utime(self.folder / "states" / name)

    # outcomes, facts, logs, builds

    def outcomes(self, static_key: str) -> tuple[Outcome, ...]:
        """What scripts with that static key led to, the newest first."""
        return self._read(self.folder / "outcomes" / static_key,
                          lambda data: tuple(outcome_from(one) for one in data)) or ()

    def keep_outcome(self, static_key: str, outcome: Outcome) -> None:
        """Write down how a script went."""
        others = [one for one in self.outcomes(static_key) if (one.trace, one.named) != (outcome.trace, outcome.named)]
        kept = [outcome, *others][:ALTERNATIVES]
        self._write(self.folder / "outcomes" / static_key, keys.as_text([one.as_json() for one in kept]))

    def keep_fact(self, fact: Any) -> str:
        """Keep what stands behind a digest; gives the digest."""
        text = keys.as_text(fact)
        name = keys.digest(fact)
        path = self.folder / "facts" / name
        if not path.exists():
            self._write(path, text)
        return name

    def fact(self, name: str) -> Any:
        """What stands behind a digest; None when it is not known."""
        return self._read(self.folder / "facts" / name, lambda data: data) if name else None

    def keep_log(self, lines: Sequence[str]) -> str:
        """Keep what a script printed; gives its name."""
        data = "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
        name = keys.digest(data.hex()) if data else ""
        path = self.folder / "logs" / name
        if name and not path.exists():
            self._write(path, zlib.compress(data, 1))
        return name

    def log(self, name: str) -> list[str]:
        """What a script printed."""
        return lines_in(self.folder / "logs" / name) if name else []

    def keep_build(self, build: BuildRecord) -> None:
        """Write down a build; the oldest records go."""
        folder = self.folder / "builds"
        self._write(folder / f"{build.started:017.6f}-{self.token}", keys.as_text(build.as_json()))
        for path in sorted(folder.iterdir())[:-BUILDS_KEPT]:
            with contextlib.suppress(OSError):
                path.unlink()

    def builds(self) -> Iterator[BuildRecord]:
        """Records of builds, the newest first."""
        for path in sorted((self.folder / "builds").iterdir(), reverse=True):
            found = self._read(path, build_from)
            if found is not None:
                yield found

    # finished images, and what was found out of states

    def image(self, key: str) -> dict[str, Any] | None:
        """What is known of outputs by the key of what they depend on."""
        return self._read(self.folder / "images" / key, dict)

    def keep_image(self, key: str, known: Mapping[str, Any]) -> None:
        """Write down outputs."""
        self._write(self.folder / "images" / key, keys.as_text(known))

    def image_used(self, key: str) -> None:
        """Note that outputs were used now, for gc."""
        with contextlib.suppress(OSError):
            os.utime(self.folder / "images" / key)

    def image_file(self, key: str, kind: str) -> Path:
        """Where the store keeps an output of that type."""
        return self.folder / "images" / f"{key}.{kind}"

    def memo(self, question: str, state: str, answer: Callable[[], int]) -> int:
        """What was found out of a state once, and is true for ever."""
        path = self.folder / "facts" / keys.digest([question, state])
        known = self._read(path, int)
        if known is None:
            known = answer()
            with contextlib.suppress(OSError):
                self._write(path, keys.as_text(known))
        return known

    # files

    def _write(self, path: Path, text: str | bytes) -> None:
        """Write a file so that it is there whole, or not at all."""
        data = sealed(text) if isinstance(text, str) else text
        aside = f"{path}.{secrets.token_hex(4)}~"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while data:
                data = data[os.write(descriptor, data):]
        except OSError:
            os.unlink(aside)
            raise
        finally:
            os.close(descriptor)
        os.rename(aside, path)

    def _read(self, path: Path, convert: Callable[[Any], _T]) -> _T | None:
        """A record, or None when it is not there or damaged."""
        try:
            return convert(json.loads(unsealed(path.read_bytes())))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def lines_in(log: Path) -> list[str]:
    """What a script printed, out of a file of logs; nothing when it is missing or damaged."""
    try:
        data = zlib.decompress(log.read_bytes())
    except (OSError, zlib.error):
        return []
    return data.decode("utf-8", "surrogateescape").splitlines()


def remove(folder: Path) -> None:
    """Remove a directory of the store; files that a script made immutable too."""
    remove_tree(folder)
