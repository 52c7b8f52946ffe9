"""Reporters: each takes events and shows or stores them. `reporter()` joins those that a build wants."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from pydib import clock, events
from pydib.errors import RecipeError
from pydib.masking import Mask
from pydib.recipe import Wishes
from pydib.report.lines import as_bytes, lines_of
from pydib.report.timeline import Timeline


@contextmanager
def reporter(wishes: Wishes) -> Iterator[events.Reporter]:
    """One reporter for all that `wishes` names.

    Raises:
        RecipeError: a file cannot be written.
    """
    mask = Mask(wishes.hidden)
    with ExitStack() as stack:
        takers: list[events.Reporter] = []
        if wishes.style == "lines":
            takers.append(LineLog(sys.stdout.buffer, timestamps=wishes.timestamps))
        elif wishes.style == "progress":
            from pydib.report.progress import Progress  # late: rich takes long to import

            takers.append(stack.enter_context(Progress()))
        if wishes.logfile:
            takers.append(LineLog(stack.enter_context(_opened(wishes.logfile, "--logfile")), timestamps=True))
        if wishes.events_file:
            takers.append(JsonLines(stack.enter_context(_opened(wishes.events_file, "--events"))))
        if wishes.timeline_file:
            takers.append(stack.enter_context(Timeline(wishes.timeline_file)))

        def report(event: events.Event) -> None:
            shown = mask.event(event)
            for take in takers:
                take(shown)

        yield report


def _opened(name: str, option: str) -> BinaryIO:
    try:
        return Path(name).open("ab")
    except OSError as error:
        raise RecipeError(f"{option} {name} cannot be written: {error.strerror}", where=name,
                          hint="make its directory, or choose another file") from None


class LineLog:
    """Writes the log, a line at a time, unbuffered beyond one event."""

    def __init__(self, stream: BinaryIO, *, timestamps: bool) -> None:
        self._stream = stream
        self._timestamps = timestamps

    def __call__(self, event: events.Event) -> None:
        """Write the lines of `event`."""
        stamp = clock.stamp(clock.now()) + " | " if self._timestamps else ""
        lines = lines_of(event)
        if lines:
            try:
                self._stream.write(as_bytes(stamp + f"\n{stamp}".join(lines)))
                self._stream.flush()
            except BrokenPipeError:
                self._stream = io.BytesIO()  # the reader went away; the build goes on


class JsonLines:
    """Writes each event as a line of JSON with the time under `time`; output as one for each line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __call__(self, event: events.Event) -> None:
        """Write `event`."""
        time = clock.now().isoformat()
        lines = [json.dumps({"time": time, **record}) for record in event.records()]
        self._stream.write(("\n".join(lines) + "\n").encode("ascii"))
        self._stream.flush()
