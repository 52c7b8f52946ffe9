"""One step of the engine, told when it begins and, with what it cost, when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydib import clock, events
from pydib.host import costs


@contextmanager
def step(name: str, report: events.Reporter) -> Iterator[None]:
    """The block is the step `name`; of one that fails the end is not told."""
    report(events.StepStarted(step=name))
    begun, before = clock.monotonic(), costs.processor_seconds()
    yield
    after = costs.processor_seconds()
    report(events.StepFinished(step=name, seconds=clock.monotonic() - begun, user_seconds=after[0] - before[0],
                               system_seconds=after[1] - before[1]))
