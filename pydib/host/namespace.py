"""Entering namespaces: the one seam through which a build gets its own mounts, processes, IPC and host name.

A build is two processes. The *outer* one stays where the user called it: it made the directories, passes signals on,
waits, and removes what is left. The *inner* one is the first process of the new PID namespace: when it ends, whatever
the reason, the kernel ends every process in there, and with the last one all mounts go.
For root both are forks of the caller, with all that is loaded already: an interpreter and its modules take longer to
start than an unchanged build takes for all the rest. The kernel ends them when the outer process is killed.

Without root util-linux's `unshare` makes a user namespace, with the caller as root and the caller's subordinate ids
behind it (subuid(5)), and a mount namespace; `setpriv --pdeathsig` ends it with the outer process. In there the room is
made; `nested` goes into a second user namespace with all the rest, in which the room's mounts can no longer be changed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydib import clock
from pydib.errors import CommandFailed, SandboxError
from pydib.host import kernel, sandbox
from pydib.host.command import require_tool, run
from pydib.host.signals import PASSED_ON

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Namespaces:
    """Which namespaces a build gets: its own mounts, processes, IPC and host name, and with `user` its own ids."""

    user: bool = False


MAPPED = ("--user", "--map-root-user", "--map-auto")
"""Arguments of unshare(1): the caller is root, and the caller's subordinate ids are everybody else."""


def unshare_argv() -> list[str]:
    """The command that enters an ordinary user's namespaces and then runs what is appended to it."""
    return [require_tool("setpriv"), "--pdeathsig", "KILL", require_tool("unshare"), *MAPPED,
            "--mount", "--propagation", "private", "--"]


def in_own_namespaces(work: Callable[[], int], *, parent: int) -> int:
    """Do `work` as the first process of namespaces of its own: mount (what is mounted in there stays in there), PID,
    IPC and UTS. We wait for its end; when `parent` ends, so does everything in there.

    Returns:
        The exit code of `work`, 128 + signal, or 1 when the kernel refuses.
    """
    try:
        kernel.die_with_parent()
        if os.getppid() != parent:
            return 1
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
        kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
    except OSError:
        return 1
    return _followed(work, lambda problem: 1)


def become_mapped_root() -> None:
    """Start this command once more, as root of a user namespace with the caller's subordinate ids: only there files of
    these can be read and removed. Does nothing for root.

    Raises:
        SandboxError: the namespace cannot be made.
    """
    if os.geteuid() == 0:
        return
    sandbox.check_ids()
    try:
        run("unshare", *MAPPED, "--", "true")
    except CommandFailed as error:
        raise sandbox.explained(what=f"a user namespace cannot be made ({error.what})") from None
    os.execv(require_tool("unshare"), ["unshare", *MAPPED, "--", sys.executable, *sys.orig_argv[1:]])


def nested(work: Callable[[], int], failed: Callable[[SandboxError], int]) -> int:
    """Do `work` as the first process of further namespaces: user (the same ids), mount, PID, IPC and UTS.

    What is mounted now can neither be changed nor unmounted there. We wait for its end; when we are killed, so is
    everything in there. `failed` tells the user when the first process gets no proc.

    Returns:
        The exit code of `work`, or 128 + signal.

    Raises:
        SandboxError: the kernel refuses.
    """
    outer = os.getppid()
    try:
        _into_nested_user_namespace()
        kernel.die_with_parent()  # new credentials may have undone what setpriv did
    except OSError as error:
        raise sandbox.explained(what=f"the build's inner namespaces cannot be made ({error.strerror})") from None
    if os.getppid() != outer:
        return 1  # killed meanwhile
    return _followed(work, failed)


def _followed(work: Callable[[], int], failed: Callable[[SandboxError], int]) -> int:
    """Do `work` as the first process of the PID namespace that our next child begins, and wait for its end."""
    alive, our_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(our_end)
        _leave(lambda: _first_process(work, failed, alive))
    os.close(alive)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)  # the outer process tells the first process of what a user wants
    _, status = os.waitpid(child, 0)
    os.close(our_end)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _into_nested_user_namespace() -> None:
    """unshare(2), with a helper that stays outside to write our maps: for whole ranges only it has the right to."""
    us, ready, ready_end = os.getpid(), *os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(ready_end)
        _leave(lambda: _write_maps(us, ready))
    os.close(ready)
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC
                   | kernel.CLONE_NEWUTS)
    os.write(ready_end, b"x")
    os.close(ready_end)
    if os.waitpid(helper, 0)[1] != 0:
        raise PermissionError(errno.EPERM, "its ids could not be mapped")


def _write_maps(pid: int, ready: int) -> int:
    if not os.read(ready, 1):
        return 1
    for name in ("uid_map", "gid_map"):
        rows = [line.split() for line in Path(f"/proc/self/{name}").read_text().splitlines()]
        Path(f"/proc/{pid}/{name}").write_text("".join(f"{inner} {inner} {count}\n" for inner, _, count in rows))
    return 0


def _first_process(work: Callable[[], int], failed: Callable[[SandboxError], int], alive: int) -> int:
    kernel.die_with_parent()
    os.set_blocking(alive, False)
    with contextlib.suppress(BlockingIOError):
        os.read(alive, 1)
        return 1  # at its end: the parent died before we were tied to it
    os.close(alive)
    try:
        kernel.mount("proc", Path("/proc"), fstype="proc")
    except OSError as error:
        return failed(sandbox.explained(what=f"the build gets no /proc of its own ({error.strerror})"))
    return work()


def _leave(work: Callable[[], int]) -> NoReturn:
    """Do `work`, and end this process, whatever happens in it."""
    code = 1
    try:
        code = work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)


def run_isolated(module: str, payload: bytes, *, namespaces: Namespaces, keep: Sequence[int] = (),
                 meanwhile: Callable[[], None] = lambda: None) -> int:
    """Run the Python module `module` inside `namespaces`; it reads `payload` from the descriptor in its first argument,
    and writes a byte to the second, which tells that the namespaces could be made.

    The first of SIGINT, SIGTERM and SIGHUP is passed on, so that the inner process can end well; a second one, or a
    long silence after the first, kills it: the kernel then cleans up just the same.

    The module starts with these signals blocked, and unblocks them (`listen`) when it is ready for them.

    Args:
        module: dotted name; its `main` finds the two descriptors in sys.argv.
        payload: what the module is to do.
        keep: further descriptors that stay open in there, for instance of locks.
        meanwhile: something short that is done here while the module begins.

    Returns:
        The module's exit code, or 128 + signal when a signal asked for the end.

    Raises:
        SandboxError: the namespaces cannot be made.
    """
    reader, (begun, begins) = _as_file(payload), os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        child = _start_as_user(module, reader, begins, keep) if namespaces.user else _fork(module, reader, begins)
        os.close(begins)
        with _Relay(child) as relay:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            meanwhile()
            code = relay.wait()
        if code and not relay.received and not _was_written_to(begun):
            raise sandbox.explained(what="the build's namespaces cannot be made")
    except OSError as error:
        raise SandboxError(f"the build's namespaces cannot be made: {error.strerror}") from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reader)
        os.close(begun)
    if relay.received:
        return 128 + relay.received
    return 128 - code if code < 0 else code


def _start_as_user(module: str, reader: int, begins: int, keep: Sequence[int]) -> subprocess.Popen[bytes]:
    argv = [*unshare_argv(), sys.executable, "-m", module, str(reader), str(begins)]
    return subprocess.Popen(argv, pass_fds=(reader, begins, *keep))


def _fork(module: str, reader: int, begins: int) -> _Fork:
    outer = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    child = os.fork()
    if child == 0:
        _leave(lambda: in_own_namespaces(lambda: _main_of(module, reader, begins), parent=outer))
    return _Fork(child)


def _main_of(module: str, reader: int, begins: int) -> int:
    sys.argv = [module, str(reader), str(begins)]
    code: int = importlib.import_module(module).main()
    return code


class _Fork:
    """A child that was forked, with what we use of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._waited(os.WNOHANG)

    def wait(self) -> int:
        """The same, in the end."""
        code = self._waited(0)
        assert code is not None
        return code

    def _waited(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _was_written_to(reader: int) -> bool:
    return bool(select.select([reader], [], [], 0)[0] and os.read(reader, 1))


def listen(heard: Callable[[int, FrameType | None], None]) -> None:
    """Have `heard` called for each signal that is passed on to us, from now on, those that came already too."""
    for number in PASSED_ON:
        signal.signal(number, heard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def _as_file(payload: bytes) -> int:
    """An anonymous file with `payload` in it, at its start."""
    descriptor = os.memfd_create("pydib-job")
    os.write(descriptor, payload)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class _Relay:
    """Passes signals to the inner process while it runs."""

    def __init__(self, child: subprocess.Popen[bytes] | _Fork) -> None:
        self.child = child
        self.received = 0
        self.deadline = 0.0
        self.inner: dict[int, int] = {}
        self.others: set[int] = set()

    def __enter__(self) -> _Relay:
        self.others = set(_children(os.getpid())) - {self.child.pid}
        kernel.adopt_orphans(True)
        self._before = {number: signal.signal(number, self._pass_on) for number in PASSED_ON}
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self._wait_for_the_inner()
        self._end_orphans()
        kernel.adopt_orphans(False)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self.received:
            self.child.kill()
            return
        self.received = number
        self.deadline = clock.monotonic() + PATIENCE_SECONDS
        self._tell()

    def _tell(self) -> None:
        """Tell the inner process, if it is there already; it heeds the first time only."""
        self._meet_the_inner()
        for descriptor in self.inner.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)

    def _meet_the_inner(self) -> None:
        """Take hold of the child's children as they come: when the child is killed, nobody else tells us their end."""
        for pid in _children(self.child.pid):
            if pid not in self.inner:
                with contextlib.suppress(ProcessLookupError):
                    self.inner[pid] = os.pidfd_open(pid)

    def _wait_for_the_inner(self) -> None:
        """The inner process ends after all others of its PID namespace; only then its directories may be removed."""
        for descriptor in self.inner.values():
            select.select([descriptor], [], [], PATIENCE_SECONDS)
            os.close(descriptor)

    def wait(self) -> int:
        """The child's exit code, negative for a signal. A child that does not heed a signal is killed in the end."""
        descriptor = os.pidfd_open(self.child.pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while not poll.poll(50 if not self.inner else 250):
                self._meet_the_inner()
                if self.received:
                    self._tell()
                    if clock.monotonic() > self.deadline:
                        self.child.kill()
                _take_terminal_back()
        finally:
            os.close(descriptor)
        return self.child.wait()

    def _end_orphans(self) -> None:
        """unshare(1) leaves its helpers behind when it fails; the inner process, killed already, may be one too."""
        for pid in set(_children(os.getpid())) - self.others:
            with contextlib.suppress(ProcessLookupError, ChildProcessError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


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
