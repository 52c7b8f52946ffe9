"""Long-lived programs whose output is read while they run.

`host/command.py` runs a program to its end and gives back what it said; a virtual machine is watched while it lives.
The child gets its own session, so that Ctrl-C at our terminal reaches us and we end the child in order; util-linux's
`setpriv --pdeathsig` has the kernel kill it when we are killed ourselves (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydib import clock
from pydib.errors import EngineError
from pydib.host.command import require_tool

_CHUNK_BYTES = 1 << 16


class Child:
    """A running program. stdout and stderr come as one stream, in the order in which they were written."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        assert process.stdout is not None
        self._output = process.stdout.fileno()
        os.set_blocking(self._output, False)

    @property
    def pid(self) -> int:
        """Its process number, which is its process group's too."""
        return self._process.pid

    def output(self, *, timeout_seconds: float) -> Iterator[bytes]:
        """What the program writes, piece by piece as it comes, until the stream's end or the deadline.

        The stream ends when the last process that holds it closes it. Which of the two ended the iteration is told
        by `wait`.

        Args:
            timeout_seconds: time from now; the iterator never waits longer.
        """
        deadline = clock.monotonic() + timeout_seconds
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while (left := deadline - clock.monotonic()) > 0:
            if not poll.poll(left * 1000):
                return
            piece = os.read(self._output, _CHUNK_BYTES)
            if not piece:
                return
            yield piece

    def wait(self, *, timeout_seconds: float) -> int | None:
        """The exit code (negative: killed by that signal), or None when the program still runs after that time."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the program and everything that it started in its process group. May be called again."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def streamed(*argv: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Iterator[Child]:
    """Keep a program running for as long as the block lasts; what is left of it then is killed.

    Its stdin is empty. The kernel kills it when the *thread* that entered the block ends, so enter it from a thread
    that stays.

    Args:
        argv: the program and its arguments; never a shell line.
        env: its whole environment; by default ours with `LC_ALL=C`.
        cwd: where it runs.

    Raises:
        ToolMissing: there is no such program.
        EngineError: it cannot be started.
    """
    words = [str(word) for word in argv]
    program = words[0] if "/" in words[0] else require_tool(words[0])
    environment = dict(env) if env is not None else {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            [require_tool("setpriv"), "--pdeathsig", "KILL", "--", program, *words[1:]], env=environment, cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )
    except OSError as error:
        raise EngineError(f"{program} cannot be started: {error.strerror}", where=str(cwd or "")) from None
    with process:
        child = Child(process)
        try:
            yield child
        finally:
            child.end()


def run_in_foreground(*argv: str | Path, env: Mapping[str, str] | None = None) -> int:
    """Run a program with our own input, output and terminal, to its end; gives its exit code, as a shell does.

    Raises:
        ToolMissing: there is no such program.
    """
    words = [str(word) for word in argv]
    program = words[0] if "/" in words[0] else require_tool(words[0])
    sys.stdout.flush()
    code = subprocess.run([program, *words[1:]], env=None if env is None else dict(env), check=False).returncode
    return code if code >= 0 else 128 - code
