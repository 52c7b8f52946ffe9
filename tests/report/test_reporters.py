"""Events become log lines, JSON lines and a live display."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from pydib import events
from pydib.errors import RecipeError
from pydib.recipe import Wishes
from pydib.report.lines import lines_of
from pydib.report.progress import Progress
from pydib.report.reporters import JsonLines, LineLog, reporter


def text(event: events.Event) -> str:
    return "\n".join(lines_of(event))


@pytest.mark.parametrize(("event", "line"), [
    (events.BuildStarted(version="1", elements=("base", "vm")), "Building elements: base vm"),
    (events.ElementsResolved(elements=("base", "vm")), "Expanded element dependencies to: base vm"),
    (events.PhaseStarted(phase="root", directory="/h/root.d", scripts=1), "Running hooks from /h/root.d"),
    (events.ScriptStarted(phase="root", script="root.d/1-a", element="a"), "dib-run-parts Running root.d/1-a"),
    (events.ScriptFinished(phase="root", script="root.d/1-a", element="a", exit_code=0, seconds=1),
     "dib-run-parts 1-a completed"),
    (events.ImageWritten(path="a.qcow2", kind="qcow2", size=1), "Image file a.qcow2 created..."),
    (events.BuildFinished(seconds=1), "Build completed successfully"),
])
@pytest.mark.contract("C-065", "C-185")
def test_lines_that_callers_look_for(event: events.Event, line: str) -> None:
    """The stable lines of C-185 and C-102."""
    assert line in text(event)


@pytest.mark.contract("C-102")
def test_the_table_of_a_phase() -> None:
    finished = events.PhaseFinished(phase="root", directory="root.d", seconds=3,
                                    scripts=(("10-a", 1.25), ("9-b", 0.5)))
    rows = text(finished).splitlines()
    assert "dib-run-parts 10-a" + " " * 36 + "      1.250" in rows
    assert rows[0].startswith("dib-run-parts ---") and "PROFILING" in rows[0]
    assert "END PROFILING" in rows[-1]


@pytest.mark.contract("C-180")
def test_log_lines_carry_the_time_only_when_wanted() -> None:
    with_time, without = io.BytesIO(), io.BytesIO()
    LineLog(with_time, timestamps=True)(events.Note(text="hello"))
    LineLog(without, timestamps=False)(events.Note(text="hello"))
    assert re.fullmatch(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| hello\n", with_time.getvalue())
    assert without.getvalue() == b"hello\n"


@pytest.mark.contract("C-182")
def test_bytes_of_scripts_pass_through_the_log() -> None:
    stream = io.BytesIO()
    LineLog(stream, timestamps=False)(events.Output(lines=(b"\xff\x00".decode("utf-8", "surrogateescape"),)))
    assert stream.getvalue() == b"\xff\x00\n"


def test_json_lines_hold_every_field_and_the_time() -> None:
    stream = io.BytesIO()
    JsonLines(stream)(events.Output(lines=("\udcff odd", "another")))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert {**first, "time": ""} == {"event": "Output", "text": "\udcff odd", "time": ""}
    assert second["text"] == "another"
    assert first["time"] == second["time"]
    assert first["time"].endswith("+00:00")


def test_several_takers_share_the_events(tmp_path: Path) -> None:
    wishes = Wishes(style="quiet", logfile=str(tmp_path / "log"), events_file=str(tmp_path / "events"))
    with reporter(wishes) as report:
        report(events.Note(text="hello"))
    assert "hello" in (tmp_path / "log").read_text()
    assert json.loads((tmp_path / "events").read_text())["text"] == "hello"


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--logfile"):
        with reporter(Wishes(style="quiet", logfile=str(tmp_path / "no" / "log"))):
            pass


def test_the_live_display_survives_every_event() -> None:
    stream = io.StringIO()
    with Progress(Console(file=stream, force_terminal=True, width=100)) as show:
        for event in (
            events.ElementsResolved(elements=("a",)), events.PhaseStarted(phase="root", directory="d", scripts=1),
            events.ScriptStarted(phase="root", script="root.d/1-a", element="a"),
            events.Output(lines=("\udcff[red]not markup[/red]\r",)), events.Warned(text="careful"),
            events.PhaseFinished(phase="root", directory="root.d", seconds=1.5, scripts=(("1-a", 1.5),)),
            events.ImageWritten(path="a.qcow2", kind="qcow2", size=10**6), events.BuildFinished(seconds=2),
        ):
            show(event)
    shown = stream.getvalue()
    assert "root  1.5 s, 1 scripts" in shown
    assert "[red]not markup[/red]" in shown
