"""Progress on a terminal: the phase, the script, the time, and the last lines of output."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pydib import clock, events

_REFRESH_SECONDS = 0.1
_TAIL = 4


class Progress:
    """A live display. Redraws only when events come: no thread, since the engine forks."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._begun = clock.monotonic()
        self._drawn = 0.0
        self._phase = ""
        self._script = ""
        self._script_begun = self._begun
        self._tail: list[str] = []

    def __enter__(self) -> Progress:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._live.stop()

    def __call__(self, event: events.Event) -> None:
        """Show `event`."""
        match event:
            case events.ElementsResolved():
                self._say("elements", " ".join(event.elements))
            case events.Warned():
                self._say("warning", event.text, style="yellow")
            case events.Output():
                self._tail = [*self._tail, *event.lines][-_TAIL:]
            case events.PhaseStarted():
                self._phase = event.phase
            case events.StepStarted():
                self._now(event.step)
            case events.ScriptStarted():
                self._now(f"{event.script}" + (f"  ({event.element})" if event.element else ""))
            case events.StepFinished() if event.seconds >= 1:
                self._say("step", f"{event.step}  {event.seconds:.1f} s")
            case events.PhaseFinished():
                self._say("phase", f"{event.phase}  {event.seconds:.1f} s, {len(event.scripts)} scripts")
            case events.ImageWritten():
                self._say("image", f"{event.path}  {event.size / 1e6:.0f} MB", style="green")
            case events.BuildFinished():
                self._say("done", f"{event.seconds:.1f} s", style="green")
        self._draw(force=not isinstance(event, events.Output))

    def _now(self, what: str) -> None:
        self._script, self._script_begun, self._tail = what, clock.monotonic(), []

    def _say(self, head: str, text: str, style: str = "") -> None:
        self._console.print(Text.assemble((f"{head:>9} ", "bold " + style), text))

    def _draw(self, *, force: bool) -> None:
        now = clock.monotonic()
        if not force and now - self._drawn < _REFRESH_SECONDS:
            return
        self._drawn = now
        table = Table.grid(padding=(0, 1))
        table.add_row(Text(f"{now - self._begun:6.0f} s", style="cyan"), Text(self._phase, style="bold"),
                      Text(f"{self._script}  {now - self._script_begun:.0f} s"))
        for line in self._tail:
            shown = line.encode("utf-8", "replace").decode("utf-8", "replace")
            table.add_row("", "", Text(shown.replace("\r", " "), style="dim", no_wrap=True, overflow="ellipsis"))
        self._live.update(table, refresh=True)
