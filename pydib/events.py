"""What happens in a build, as values. Jobs send them to the reporter they were given; nothing in the engine prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened."""

    def records(self) -> Iterator[dict[str, Any]]:
        """The event as a flat map with its name under `event`, for `--events FILE`."""
        yield {"event": type(self).__name__, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class BuildStarted(Event):
    """A build begins. `elements` as the user named them, defaults added, not yet expanded."""

    version: str
    elements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ElementsResolved(Event):
    """All elements of the build, in order."""

    elements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """A line of text for the log."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something a user should look at, though the build goes on."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Output(Event):
    """Lines that a script printed, one after another, without their ends. Bytes that are not UTF-8 are kept as
    surrogate escapes."""

    lines: tuple[str, ...]

    def records(self) -> Iterator[dict[str, Any]]:
        """One for each line, which is under `text`."""
        for line in self.lines:
            yield {"event": "Output", "text": line}


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    """A step of the engine begins, for example `copy-tree`."""

    step: str


@dataclass(frozen=True, kw_only=True)
class StepFinished(Event):
    """A step of the engine is done, after `seconds`; what the engine and its tools spent meanwhile."""

    step: str
    seconds: float
    user_seconds: float = 0.0
    system_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PhaseStarted(Event):
    """A phase begins. `directory` holds its scripts, `scripts` how many there are."""

    phase: str
    directory: str
    scripts: int


@dataclass(frozen=True, kw_only=True)
class ScriptStarted(Event):
    """A script begins. `element` is empty when another script wrote it into the hook tree; `reason` tells why it runs
    although layers are kept."""

    phase: str
    script: str
    element: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ScriptCached(Event):
    """A script need not run: a layer has its outcome."""

    phase: str
    script: str
    element: str


@dataclass(frozen=True, kw_only=True)
class ScriptFinished(Event):
    """A script ended with `exit_code` after `seconds`; what it cost is as in `pydib.host.script.Ended`."""

    phase: str
    script: str
    element: str
    exit_code: int
    seconds: float
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_bytes: int | None = None
    written_bytes: int | None = None
    network_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class PhaseFinished(Event):
    """A phase is done. `directory` is the name of its folder; `scripts` are names and seconds, in the order of the
    table that DIB prints (C-102)."""

    phase: str
    directory: str
    seconds: float
    scripts: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class ImageWritten(Event):
    """An output lies under its final name. `size` in bytes on disk."""

    path: str
    kind: str
    size: int


@dataclass(frozen=True, kw_only=True)
class BuildFinished(Event):
    """The build succeeded, after `seconds`; the engine itself, its process that builds, had `peak_bytes` of memory at
    most."""

    seconds: float
    peak_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class BuildFailed(Event):
    """The build ended without success; `message` is what the user is told."""

    message: str
    exit_code: int


Reporter = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A reporter that forgets."""
