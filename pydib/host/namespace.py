"""Entering namespaces: the one seam through which a build gets its own mounts, processes, IPC and host name.

A build is two processes. The *outer* one stays where the user called it: it made the directories, passes signals on,
waits, and removes what is left. The *inner* one is the first process of the new PID namespace: when it ends, whatever
the reason, the kernel ends every process in there, and with the last one all mounts go.
util-linux's `unshare` makes the namespaces (it can map subordinate ids too, for builds without root, see
unshare(1)); `setpriv --pdeathsig` ends it when the outer process is killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pydib.errors import SandboxError
from pydib.host.command import require_tool

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Namespaces:
    """Which namespaces a build gets. `user` maps the caller to root, and subordinate ids behind it."""

    mount: bool = True
    pid: bool = True
    ipc: bool = True
    uts: bool = True
    user: bool = False


def unshare_argv(wanted: Namespaces) -> list[str]:
    """The command that enters the namespaces and then runs what is appended to it."""
    argv = [require_tool("setpriv"), "--pdeathsig", "KILL", require_tool("unshare")]
    if wanted.user:
        argv += ["--user", "--map-root-user", "--map-auto"]
    if wanted.mount:
        argv += ["--mount", "--propagation", "private"]
    if wanted.ipc:
        argv.append("--ipc")
    if wanted.uts:
        argv.append("--uts")
    if wanted.pid:
        argv += ["--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    return [*argv, "--"]


def run_isolated(module: str, payload: bytes, *, namespaces: Namespaces, keep: Sequence[int] = ()) -> int:
    """Run the Python module `module` inside `namespaces`; it reads `payload` from the descriptor in its argument.

    The first of SIGINT, SIGTERM and SIGHUP is passed on, so that the inner process can end well; a second one, or a
    long silence after the first, kills it: the kernel then cleans up just the same.

    Args:
        module: dotted name, started with our own interpreter.
        payload: what the module is to do.
        keep: further descriptors that stay open in there, for instance of locks.

    Returns:
        The module's exit code, or 128 + signal when a signal asked for the end.

    Raises:
        SandboxError: the namespaces cannot be made.
    """
    reader = _as_file(payload)
    argv = [*unshare_argv(namespaces), sys.executable, "-m", module, str(reader)]
    try:
        child = subprocess.Popen(argv, pass_fds=(reader, *keep))
    except OSError as error:
        raise SandboxError(f"the build's namespaces cannot be made: {error.strerror}", where=argv[0]) from None
    finally:
        os.close(reader)
    with _Relay(child) as relay:
        code = relay.wait()
    if relay.received:
        return 128 + relay.received
    return 128 - code if code < 0 else code


def _as_file(payload: bytes) -> int:
    """An anonymous file with `payload` in it, at its start."""
    descriptor = os.memfd_create("pydib-job")
    os.write(descriptor, payload)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class _Relay:
    """Passes signals to the inner process while it runs."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.received = 0

    def __enter__(self) -> _Relay:
        self._before = {number: signal.signal(number, self._pass_on) for number in PASSED_ON}
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        first = not self.received
        self.received = self.received or number
        for pid in _children(self.child.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if first else signal.SIGKILL)
        if not first:
            self.child.kill()

    def wait(self) -> int:
        """The child's exit code, negative for a signal. A child that does not heed a signal is killed in the end."""
        descriptor = os.pidfd_open(self.child.pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while not poll.poll(PATIENCE_SECONDS * 1000 if self.received else 250):
                if self.received:
                    self.child.kill()
                _take_terminal_back()
        finally:
            os.close(descriptor)
        return self.child.wait()


def _take_terminal_back() -> None:
    """Take the terminal when its foreground process group has died.

    A shell at a break point makes its own group the foreground's. From within the PID namespace nobody can name our
    group to give the terminal back to, and without it Ctrl-C would reach nobody.
    """
    try:
        group = os.tcgetpgrp(0)
        os.killpg(group, 0)
    except ProcessLookupError:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, os.getpgrp())
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except OSError:
        pass  # no terminal, or another user's group: nothing to do


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
