"""Looking after the store: what is in it, whether it is whole, and what may go."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydib import clock
from pydib.layer import keys
from pydib.layer.content import content_of
from pydib.layer.records import State
from pydib.layer.store import BASE, Store, remove

_HOUR = 3600.0
IMAGES_KEPT = 8
"""The outputs of so many builds stay to be handed out again."""
UNUSED_FOR_SURE_SECONDS = 24 * _HOUR
"""A record that nothing refers to goes when it is older: a running build may be about to refer to it."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A layer in the store; `used` is when a build last used it, in seconds since 1970."""

    state: State
    used: float


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What `gc` removed: layers, their bytes on disk, and other files; `left_bytes` is what layers still take, and
    `builds` how many builds were running."""

    layers: int
    freed_bytes: int
    files: int
    left_bytes: int
    builds: int


def kept(store: Store) -> list[Kept]:
    """All states whose records are whole, the most recently used first."""
    found = []
    for path in (store.folder / "states").iterdir():
        state = store.recorded(path.name)
        if state is not None:
            with contextlib.suppress(OSError):
                found.append(Kept(state=state, used=path.stat().st_mtime))
    return sorted(found, key=lambda one: -one.used)


def verify(store: Store) -> Iterator[str]:
    """Read every layer to its end; gives a sentence for each that is not what was written."""
    for path in sorted((store.folder / "states").iterdir()):
        if path.name.endswith("~"):
            continue
        with store.shared():
            state = store.recorded(path.name)
            if state is None:
                yield f"the record {path.name[:12]} is damaged"
                continue
            problem = _problem(store, state)
        if problem:
            yield f"layer {state.upper or state.id[:12]}, made by {state.made_by}: {problem}"


def _problem(store: Store, state: State) -> str:
    if store.chain(state.id) is None:
        return "a layer that it is built on is missing"
    if not state.upper:
        return ""
    try:
        found = content_of(store.layers / state.upper, state.when)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return "" if state.holds(found) else "its content was changed"


def sweep(store: Store) -> None:
    """Remove what killed builds left at work; does nothing while somebody else looks something up."""
    try:
        fcntl.flock(store.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    try:
        _leases(store)
    finally:
        fcntl.flock(store.lock, fcntl.LOCK_UN)


def gc(store: Store, *, most_bytes: int | None = None, older_than: float | None = None) -> Swept:
    """Remove what no build can use, and what is too much: the layers that were not used for longest go first.

    Nothing goes that a running build uses.

    Args:
        most_bytes: what layers may take on disk; None for no limit.
        older_than: seconds; layers that were not used for longer go.
    """
    fcntl.flock(store.lock, fcntl.LOCK_EX)
    try:
        leased, builds = _leases(store)
        states = {one.state.id: one for one in kept(store)}
        going = _to_remove(states, leased, most_bytes, older_than)
        trash = [_out_of_the_way(store, states[name].state) for name in going]
        named = {one.state.upper for name, one in states.items() if name not in going}
        orphans = [] if builds else _orphans(store, named)  # a build may still use one whose record was damaged
        files = _loose_ends(store, set(states) - set(going))
    finally:
        fcntl.flock(store.lock, fcntl.LOCK_UN)
    for folder in (*filter(None, trash), *orphans):
        remove(folder)
    freed = sum(states[name].state.size_bytes for name in going)
    left = sum(one.state.size_bytes for name, one in states.items() if name not in going)
    return Swept(layers=len(going), freed_bytes=freed, files=files + len(orphans), left_bytes=left, builds=builds)


def _to_remove(states: dict[str, Kept], leased: set[str], most_bytes: int | None, older_than: float | None
               ) -> list[str]:
    """Names of the states that go, those that others grew from last."""
    broken = [name for name in states if not _is_grounded(name, states)]
    alive = {name: one for name, one in states.items() if name not in broken}
    held = {ancestor for name in leased for ancestor in _ancestors(name, alive)}
    children = dict.fromkeys(alive, 0)
    for one in alive.values():
        if one.state.parent in children:
            children[one.state.parent] += 1
    total = sum(one.state.size_bytes for one in alive.values())
    going: list[str] = [name for name in broken if name not in leased]
    now = clock.since_1970()
    while True:
        leaves = [name for name in alive if not children[name] and name not in held]
        oldest = min(leaves, key=lambda name: alive[name].used, default=None)
        if oldest is None:
            return going
        too_much = most_bytes is not None and total > most_bytes
        too_old = older_than is not None and now - alive[oldest].used > older_than
        if not (too_much or too_old):
            return going
        one = alive.pop(oldest)
        total -= one.state.size_bytes
        going.append(oldest)
        if one.state.parent in children:
            children[one.state.parent] -= 1


def _is_grounded(name: str, states: dict[str, Kept]) -> bool:
    while name in states:
        name = states[name].state.parent
    return name == keys.EMPTY


def _ancestors(name: str, states: dict[str, Kept]) -> Iterator[str]:
    while name in states:
        yield name
        name = states[name].state.parent


def _leases(store: Store) -> tuple[set[str], int]:
    """The states that running builds use, and how many these are; what killed builds left is removed."""
    held: set[str] = set()
    running = 0
    alive = set()
    for path in (store.folder / "leases").iterdir():
        if path.name == store.token or not _is_abandoned(path):
            alive.add(path.name)
            running += path.name != store.token
            held.update(path.read_text(errors="replace").split())
        else:
            path.unlink(missing_ok=True)
    for folder in (store.folder / "w").iterdir():
        if folder.name.split(".")[0] not in alive:
            remove(folder)
    return held, running


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _out_of_the_way(store: Store, state: State) -> Path | None:
    """A state's record goes, and its layer takes a name that nobody looks for."""
    with contextlib.suppress(OSError):
        (store.folder / "states" / state.id).unlink()
    if not state.upper:
        return None
    aside = store.folder / "w" / f"gone.{state.upper}"
    with contextlib.suppress(OSError):
        os.rename(store.layers / state.upper, aside)
    return aside


def _orphans(store: Store, used: set[str]) -> list[Path]:
    """Layers without a record: their build was killed between the two, or the record was damaged."""
    moved = []
    for folder in store.layers.iterdir():
        if folder.name not in used and folder.name != BASE:
            aside = store.folder / "w" / f"gone.{folder.name}"
            with contextlib.suppress(OSError):
                os.rename(folder, aside)
                moved.append(aside)
    return moved


def _loose_ends(store: Store, states: set[str]) -> int:
    """Records that lead nowhere, and what no record names any more."""
    removed = 0
    named: set[str] = set()
    for path in (store.folder / "outcomes").iterdir():
        outcomes = store.outcomes(path.name)
        if any(one.after in states or one.after == keys.EMPTY for one in outcomes):
            for one in outcomes:
                named.update((*one.inputs.values(), one.output))
        else:
            removed += _gone_if_old(path, _HOUR)
    for build in store.builds():
        named.update((build.plan, *(line.output for line in build.scripts)))
    removed += _old_images(store)
    for folder in ("facts", "logs"):
        for path in (store.folder / folder).iterdir():
            if path.name not in named:
                removed += _gone_if_old(path, UNUSED_FOR_SURE_SECONDS)
    for path in (store.folder / "states").glob("*"):
        if path.name not in states:
            removed += _gone_if_old(path, _HOUR)
    return removed


def _old_images(store: Store) -> int:
    """Outputs but those that were used last."""
    by_key: dict[str, list[Path]] = {}
    for path in (store.folder / "images").iterdir():
        by_key.setdefault(path.name.split(".")[0], []).append(path)
    records = [(store.folder / "images" / key, paths) for key, paths in by_key.items()]
    used = sorted(records, key=lambda pair: -pair[0].stat().st_mtime if pair[0].exists() else 0.0)
    going = [path for _, paths in used[IMAGES_KEPT:] for path in paths]
    for path in going:
        path.unlink(missing_ok=True)
    return len(going)


def _gone_if_old(path: Path, seconds: float) -> int:
    with contextlib.suppress(OSError):
        if clock.since_1970() - path.stat().st_mtime > seconds:
            path.unlink()
            return 1
    return 0
