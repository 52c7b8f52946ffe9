"""A build's events as spans, as a page, and as a trace."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pydib import events
from pydib.errors import RecipeError
from pydib.recipe import Wishes
from pydib.report.reporters import reporter
from pydib.report.spans import Spans, read_spans
from pydib.report.timeline import page, trace_events

TOLD = [
    (0.0, events.BuildStarted(version="1", elements=("base", "<odd>"))),
    (1.0, events.PhaseStarted(phase="root", directory="/h/root.d", scripts=2)),
    (1.5, events.ScriptStarted(phase="root", script="root.d/1-a", element="a")),
    (3.5, events.ScriptFinished(phase="root", script="root.d/1-a", element="a", exit_code=0, seconds=2.0,
                                user_seconds=1.0, system_seconds=0.5, peak_bytes=5 << 20, written_bytes=1024,
                                network_bytes=None)),
    (3.5, events.ScriptCached(phase="root", script="root.d/2-b", element="b")),
    (4.0, events.PhaseFinished(phase="root", directory="root.d", seconds=3.0, scripts=(("1-a", 2.0),))),
    (4.0, events.StepStarted(step="measure")),
    (4.5, events.StepFinished(step="measure", seconds=0.5, user_seconds=0.25)),
    (4.5, events.StepStarted(step="measure")),
    (5.0, events.StepFinished(step="measure", seconds=0.5)),
    (5.0, events.BuildFinished(seconds=5.0, peak_bytes=33 << 20)),
]


@pytest.fixture
def spans() -> Spans:
    moment = 0.0
    found = Spans(lambda: moment)
    for when, event in TOLD:
        moment = when
        found(event)
    return found


def test_what_took_which_time_and_cost(spans: Spans) -> None:
    assert [(span.kind, span.name, span.begun, span.seconds) for span in spans.all] == [
        ("script", "root.d/1-a", 1.5, 2.0), ("script", "root.d/2-b", 3.5, 0.0), ("phase", "root", 1.0, 3.0),
        ("step", "measure", 4.0, 0.5), ("step", "measure", 4.5, 0.5)]
    phase = spans.all[2]
    assert (phase.user_seconds, phase.peak_bytes, phase.written_bytes) == (1.0, 5 << 20, 1024)
    assert phase.network_bytes is None
    assert (spans.seconds, spans.engine_peak_bytes) == (5.0, 33 << 20)


def test_the_page_shows_every_span_at_its_place_and_no_markup_of_others(spans: Spans) -> None:
    text = page(spans)
    assert re.search(r'class="bar script" style="left:30\.0000%;width:40\.0000%[^>]*title="root\.d/1-a, ele', text)
    assert 'class="bar cached"' in text
    assert "&lt;odd&gt;" in text and "<odd>" not in text
    assert "http" not in text, "it needs no other file"


def test_the_trace_has_microseconds(spans: Spans) -> None:
    found = {event["name"]: event for event in trace_events(spans) if event["ph"] == "X"}
    assert (found["root.d/1-a"]["ts"], found["root.d/1-a"]["dur"]) == (1_500_000, 2_000_000)
    assert found["root.d/1-a"]["tid"] != found["measure"]["tid"]
    assert found["root.d/1-a"]["args"]["peak_bytes"] == 5 << 20
    assert "network_bytes" not in found["root.d/1-a"]["args"], "what is not known is not there"


def test_events_in_a_file_give_the_same_spans(tmp_path: Path) -> None:
    with reporter(Wishes(style="quiet", events_file=str(tmp_path / "events"))) as report:
        for _, event in TOLD:
            report(event)
    again = read_spans(tmp_path / "events")
    assert [(span.kind, span.name, span.seconds) for span in again.all] == [
        ("script", "root.d/1-a", 2.0), ("script", "root.d/2-b", 0.0), ("phase", "root", 3.0),
        ("step", "measure", 0.5), ("step", "measure", 0.5)]


def test_the_files_are_written_also_when_the_build_fails(tmp_path: Path) -> None:
    with reporter(Wishes(style="quiet", timeline_file=str(tmp_path / "t.html"))) as report:
        report(TOLD[0][1])
        report(events.BuildFailed(message="no such <thing>", exit_code=1))
    assert "no such &lt;thing&gt;" in (tmp_path / "t.html").read_text()
    assert json.loads((tmp_path / "t.html.json").read_text())["traceEvents"]


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--timeline .*/none/t cannot be written: No such file"), \
            reporter(Wishes(style="quiet", timeline_file=str(tmp_path / "none/t"))):
        pass
