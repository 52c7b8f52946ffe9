"""What the store writes down, as values and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydib.layer import keys
from pydib.layer.content import Content, Window


@dataclass(frozen=True, kw_only=True)
class LeftMount:
    """A mount that a script left in the tree, so that it can be made again.

    Args:
        target: where, relative to the tree.
        fstype: `bind`, or the type of a filesystem without a device.
        source: the directory or file that a bind mount shows (with the words of Fold), else the source's name.
        options: `ro` or `rw`, and what else mount(8) takes.
    """

    target: str
    fstype: str
    source: str
    options: str


@dataclass(frozen=True, kw_only=True)
class State:
    """A state of the tree, and how it differs from the one it grew from.

    Args:
        id: its name (`keys.state_id`).
        parent: the state it grew from.
        upper: the name of the directory with its layer; empty when only mounts changed.
        content: digest of that layer, `signature` its cheap sign; empty without a layer.
        window: when the script ran, as the digest needs it.
        made_by: path of the script in the hook tree, or what the engine did.
        element: whose script it was.
        phase: when.
        files, size_bytes: what the layer holds, and takes on disk.
        mounts: every mount that scripts have left in the tree, up to here.
        created: seconds since 1970.
    """

    id: str
    parent: str
    upper: str = ""
    content: str = ""
    signature: str = ""
    window: tuple[int, int] = (0, 0)
    made_by: str = ""
    element: str = ""
    phase: str = ""
    files: int = 0
    size_bytes: int = 0
    mounts: tuple[LeftMount, ...] = ()
    created: float = 0.0

    def own_name(self) -> str:
        """The name that it must have as `id`, by what it holds."""
        return keys.state_id(self.parent, self.content, [asdict(mount) for mount in self.mounts])

    def holds(self, found: Content) -> bool:
        """Whether `found` is what was written down."""
        return found.digest == self.content

    @property
    def when(self) -> Window:
        """The window as a value."""
        return Window(begun_ns=self.window[0], ended_ns=self.window[1])

    def as_json(self) -> dict[str, Any]:
        """A map for the record."""
        return asdict(self)


def state_from(data: Mapping[str, Any]) -> State:
    """A state out of its record.

    Raises:
        KeyError, TypeError, ValueError: the record is damaged.
    """
    begun, ended = data["window"]
    return State(**{**data, "window": (int(begun), int(ended)),
                    "mounts": tuple(LeftMount(**mount) for mount in data["mounts"])})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a script once went, and under what.

    Args:
        inputs: what was known before it ran (the static key is their digest).
        trace: digests of what it opened in the hook tree and in elements, by path.
        named: volatile variables that count for it, with their values.
        before, after: the tree's states.
        not_reusable: why this outcome cannot stand for the script's run; empty when it can.
        expires: whether it is good for a limited time only: made by a host script that may read the outside world.
        created: seconds since 1970.
        seconds: how long it ran.
        output: digest under which its output is kept; empty if it printed nothing.
    """

    script: str
    element: str
    phase: str
    inputs: Mapping[str, str]
    trace: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    not_reusable: str = ""
    expires: bool = False
    created: float = 0.0
    seconds: float = 0.0
    output: str = ""

    def as_json(self) -> dict[str, Any]:
        """A map for the record."""
        return dict(vars(self))  # all of it is what JSON can say; asdict would copy it piece by piece


def outcome_from(data: Mapping[str, Any]) -> Outcome:
    """An outcome out of its record.

    Raises:
        KeyError, TypeError: the record is damaged.
    """
    if not all(isinstance(data[name], Mapping) for name in ("inputs", "trace", "named")):
        raise TypeError("not a map")
    return Outcome(**data)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One line of a build's record: what became of a script."""

    script: str
    element: str
    phase: str
    cached: bool
    reason: str
    before: str
    after: str
    seconds: float = 0.0
    output: str = ""
    outcome: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """A build as `why`, `blame`, `size`, `shell` and `plan` need it. `outputs` are paths with size, time and inode;
    `plan` is the digest under which is kept what was known before it (build/forecast.py)."""

    started: float
    elements: Sequence[str]
    image: str
    scripts: Sequence[Ran]
    final: str = ""
    ended: str = ""
    outputs: Sequence[Mapping[str, Any]] = ()
    plan: str = ""

    def as_json(self) -> dict[str, Any]:
        """A map for the record."""
        return asdict(self)


def build_from(data: Mapping[str, Any]) -> BuildRecord:
    """A build out of its record.

    Raises:
        KeyError, TypeError: the record is damaged.
    """
    return BuildRecord(**{**data, "scripts": tuple(Ran(**line) for line in data["scripts"])})
