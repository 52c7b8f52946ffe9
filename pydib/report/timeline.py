"""The timeline of a build: a page that shows which phase, script and step took which time, and the same in the format
of Chrome's trace viewer ("Trace Event Format"), which Perfetto and speedscope read, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any, TextIO

from pydib import events, template
from pydib.errors import RecipeError
from pydib.report.spans import Span, Spans
from pydib.sizes import human_size

_MICROSECONDS = 1_000_000
_TRACE_ENDING = ".json"


class Timeline:
    """A reporter that writes its files when the build is over, however that ends.

    Args:
        name: the page's file; the trace is beside it, with `.json` behind the name.

    Raises:
        RecipeError: a file cannot be written.
    """

    def __init__(self, name: str) -> None:
        self._page, self._trace = _opened(name), _opened(name + _TRACE_ENDING)
        self._spans = Spans()

    def __enter__(self) -> Timeline:
        return self

    def __exit__(self, *_: object) -> None:
        with self._page, self._trace:
            self._page.write(page(self._spans))
            json.dump({"traceEvents": list(trace_events(self._spans)), "displayTimeUnit": "ms"}, self._trace, indent=1)

    def __call__(self, event: events.Event) -> None:
        """Take an event."""
        self._spans(event)


def _opened(name: str) -> TextIO:
    try:
        return Path(name).open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RecipeError(f"--timeline {name} cannot be written: {error.strerror}", where=name,
                          hint="make its directory, or choose another file") from None


def trace_events(spans: Spans) -> Iterator[dict[str, Any]]:
    """The spans as complete events: phases with their scripts on one track, the engine's steps on another."""
    for number, name in ((1, "phases and scripts"), (2, "engine")):
        yield {"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": name}}
    for span in sorted(spans.all, key=lambda span: (span.begun, -span.seconds)):
        cost = {name: value for name, value in asdict(span).items()
                if name not in ("name", "kind", "begun", "seconds") and value not in (None, "")}
        yield {"ph": "X", "pid": 1, "tid": 2 if span.kind == "step" else 1, "name": span.name, "cat": span.kind,
               "ts": round(span.begun * _MICROSECONDS), "dur": round(span.seconds * _MICROSECONDS), "args": cost}


def page(spans: Spans) -> str:
    """The page; it needs no other file."""
    whole = max(spans.seconds, *(span.begun + span.seconds for span in spans.all), 0.001) if spans.all else 0.001
    rows = {"phase": 0, "script": 1, "step": 2}
    bars = [{"left": 100 * span.begun / whole, "width": 100 * span.seconds / whole, "row": rows[span.kind],
             "kind": "failed" if span.failed else "cached" if span.cached else span.kind, "name": escape(span.name),
             "title": escape(_title(span))} for span in sorted(spans.all, key=lambda span: span.begun)]
    longest = sorted((span for span in spans.all if span.kind != "phase" and not span.cached),
                     key=lambda span: -span.seconds)
    return template.render(
        "timeline.html", elements=escape(" ".join(spans.elements)), seconds=whole, bars=bars,
        failure=escape(spans.failure), cached=sum(span.cached for span in spans.all),
        rows=[{"name": escape(span.name), "element": escape(span.element), "cells": cells(span),
               "share": 100 * span.seconds / whole} for span in longest])


def _title(span: Span) -> str:
    told = [span.name, f"element {span.element}" if span.element else "", "cached" if span.cached else
            f"{span.seconds:.3f} s from {span.begun:.3f} s on", "failed" if span.failed else ""]
    return ", ".join(filter(None, told))


COLUMNS = ("seconds", "user", "system", "peak memory", "to disk", "network")


def cells(span: Span) -> list[str]:
    """What it cost, in the order of COLUMNS; empty where it is not known."""
    def seconds(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    def size(value: int | None) -> str:
        return "" if value is None else human_size(value)

    return [seconds(span.seconds), seconds(span.user_seconds), seconds(span.system_seconds), size(span.peak_bytes),
            size(span.written_bytes), size(span.network_bytes)]
