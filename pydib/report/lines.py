"""Events as lines of text: what DIB's log says, in the words that callers look for (contract section 6)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from pydib import events
from pydib.sizes import human_size

PREFIX = "dib-run-parts "


def lines_of(event: events.Event) -> Sequence[str]:
    """The lines that `event` puts into the log."""
    return event.lines if isinstance(event, events.Output) else tuple(_told(event))


def _told(event: events.Event) -> Iterator[str]:
    match event:
        case events.BuildStarted():
            yield f"diskimage-builder version {event.version} (pydib)"
            yield "Building elements: " + " ".join(event.elements)
        case events.ElementsResolved():
            yield "Expanded element dependencies to: " + " ".join(event.elements)
        case events.Note():
            yield event.text
        case events.Warned():
            yield f"WARNING: {event.text}"
        case events.StepStarted():
            yield f"pydib {event.step}"
        case events.PhaseStarted():
            yield f"Running hooks from {event.directory}"
        case events.ScriptStarted():
            if event.reason:
                yield f"{PREFIX}{event.script} runs, because: {event.reason}"
            yield f"{PREFIX}Running {event.script}"
        case events.ScriptCached():
            yield f"{PREFIX}Cached {event.script}"
        case events.ScriptFinished():
            yield from _script_end(event)
        case events.PhaseFinished():
            yield from profile(event)
        case events.ImageWritten():
            yield f"Image file {event.path} created... ({human_size(event.size)} on disk)"
        case events.BuildFinished():
            yield f"Build completed successfully in {event.seconds:.1f} s"
        case events.BuildFailed():
            yield from event.message.splitlines()


def _script_end(event: events.ScriptFinished) -> Iterator[str]:
    name = event.script.rpartition("/")[2]
    yield f"{PREFIX}{name} completed" if event.exit_code == 0 else f"{PREFIX}{name} failed: exit code {event.exit_code}"


def profile(event: events.PhaseFinished) -> Iterator[str]:
    """The table of a phase: script and seconds, rows in byte order (C-102)."""
    yield f"{PREFIX}----------------------- PROFILING -----------------------"
    yield PREFIX
    yield f"{PREFIX}Target: {event.directory}"
    yield PREFIX
    yield f"{PREFIX}{'Script':<40} {'Seconds':>10}"
    yield f"{PREFIX}{'-' * 39} {'-' * 10}"
    yield PREFIX
    for name, seconds in event.scripts:
        yield f"{PREFIX}{name:<40} {seconds:10.3f}"
    yield PREFIX
    yield f"{PREFIX}--------------------- END PROFILING ---------------------"


def as_bytes(line: str) -> bytes:
    """A line as it goes into a file: bytes that scripts printed are kept."""
    return os.fsencode(line) + b"\n"
