"""A build as spans of time: phases, the scripts in them, and the engine's steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydib import clock, events

ENGINE = "engine"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something that took `seconds`, from `begun` (seconds since the build began) on.

    `kind` is phase, script or step; `phase` the phase of a script, `engine` for steps. What it cost is as in
    `pydib.host.script.Ended`; phases cost what their scripts do. `cached`: a layer stood for it.
    """

    name: str
    kind: str
    phase: str
    begun: float
    seconds: float
    element: str = ""
    cached: bool = False
    failed: bool = False
    user_seconds: float | None = None
    system_seconds: float | None = None
    peak_bytes: int | None = None
    written_bytes: int | None = None
    network_bytes: int | None = None


class Spans:
    """A reporter that makes spans of events.

    Args:
        now: tells the time in seconds since any moment.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._clock, self._zero = now, now()
        self._begun: dict[str, float] = {}
        self.all: list[Span] = []
        self.elements: tuple[str, ...] = ()
        self.seconds = 0.0
        self.engine_peak_bytes = 0
        self.failure = ""

    def _now(self) -> float:
        return self._clock() - self._zero

    def __call__(self, event: events.Event) -> None:
        """Take an event."""
        match event:
            case events.BuildStarted():
                self.elements = event.elements
            case events.StepStarted():
                self._begun[f"step {event.step}"] = self._now()
            case events.StepFinished():
                self.all.append(Span(name=event.step, kind="step", phase=ENGINE, seconds=event.seconds,
                                     begun=self._begun.pop(f"step {event.step}", self._now()),
                                     user_seconds=event.user_seconds, system_seconds=event.system_seconds))
            case events.PhaseStarted():
                self._begun[f"phase {event.phase}"] = self._now()
            case events.PhaseFinished():
                self.all.append(self._phase(event))
            case events.ScriptStarted():
                self._begun[f"script {event.script}"] = self._now()
            case events.ScriptCached():
                self.all.append(Span(name=event.script, kind="script", phase=event.phase, element=event.element,
                                     begun=self._now(), seconds=0.0, cached=True))
            case events.ScriptFinished():
                self.all.append(self._script(event))
            case events.BuildFinished():
                self.seconds, self.engine_peak_bytes = self._now(), event.peak_bytes
            case events.BuildFailed():
                self.seconds, self.failure = self._now(), event.message

    def _script(self, event: events.ScriptFinished) -> Span:
        return Span(name=event.script, kind="script", phase=event.phase, element=event.element,
                    begun=self._begun.pop(f"script {event.script}", self._now()), seconds=event.seconds,
                    failed=event.exit_code != 0, user_seconds=event.user_seconds, system_seconds=event.system_seconds,
                    peak_bytes=event.peak_bytes, written_bytes=event.written_bytes, network_bytes=event.network_bytes)

    def _phase(self, event: events.PhaseFinished) -> Span:
        inside = [span for span in self.all if span.kind == "script" and span.phase == event.phase]
        return Span(name=event.phase, kind="phase", phase=event.phase, seconds=event.seconds,
                    begun=self._begun.pop(f"phase {event.phase}", self._now()),
                    user_seconds=_sum([span.user_seconds for span in inside]),
                    system_seconds=_sum([span.system_seconds for span in inside]),
                    peak_bytes=max((span.peak_bytes for span in inside if span.peak_bytes is not None), default=None),
                    written_bytes=_whole(_sum([span.written_bytes for span in inside])),
                    network_bytes=_whole(_sum([span.network_bytes for span in inside])))


def read_spans(path: Path) -> Spans:
    """The spans of the events that `--events` wrote to `path`."""
    with path.open(encoding="utf-8") as lines:
        records = [record for record in map(json.loads, lines) if record["event"] != events.Output.__name__]
    moments = [datetime.fromisoformat(record.pop("time")).timestamp() for record in records] or [0.0]
    now = moments[:1]
    spans = Spans(lambda: now[0])
    for record, now[0] in zip(records, moments, strict=False):
        spans(getattr(events, record.pop("event"))(**record))
    return spans


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
