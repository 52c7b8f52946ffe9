"""A machine that runs while we talk with what is in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydib import clock
from pydib.host.stream import Child, streamed
from pydib.verify.console import Console
from pydib.verify.qemu import Machine, qemu_argv


class Running:
    """The machine: when it was started, the end of its console, and whether it is over."""

    def __init__(self, console: Console) -> None:
        self.begun = clock.monotonic()
        self.over = threading.Event()
        self._console = console

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return clock.monotonic() - self.begun

    @property
    def dead_end(self) -> str:
        """Why nothing more will come, as part of a sentence; empty while it runs."""
        if self._console.dead_end:
            return self._console.dead_end
        return "the machine switched itself off" if self.over.is_set() else ""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of its console."""
        return self._console.tail


@contextmanager
def running(machine: Machine, *, timeout_seconds: float,
            on_line: Callable[[str], None] = lambda line: None) -> Iterator[Running]:
    """Keep `machine` running for as long as the block lasts; its console is read beside it.

    Args:
        timeout_seconds: after that time nobody reads the console any more.
        on_line: gets each line of the console, cleaned; called from another thread.

    Raises:
        ToolMissing: QEMU is not installed.
    """
    console = Console(expect="\0", on_line=on_line)
    with streamed(*qemu_argv(machine)) as child:
        state = Running(console)
        reader = threading.Thread(target=_read, args=(child, console, state, timeout_seconds), daemon=True)
        reader.start()
        try:
            yield state
        finally:
            child.end()
            reader.join()


def _read(child: Child, console: Console, state: Running, timeout_seconds: float) -> None:
    for piece in child.output(timeout_seconds=timeout_seconds):
        console.feed(piece)
    console.finish()
    state.over.set()
