"""Scripts of elements: started here, on the host or in a chroot, their output read to its end as it comes.

All scripts of a build write into one pipe. A process that a script leaves behind may keep that pipe open for as long
as it likes: the end of a script is the end of its own process (contract C-101), and the build never waits for the
pipe to close.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from pydib import clock
from pydib.host import costs, kernel

_CHUNK = 1 << 16
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_LONGEST_LINE = 1 << 17
"""Bytes after which an unfinished line is handed on: nobody waits for the end of a line of a gigabyte."""
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOT_FOUND, NOT_EXECUTABLE = 127, 126


@dataclass(frozen=True, kw_only=True)
class Job:
    """One process to run.

    `argv[0]` is a path, or a name that is searched on the PATH of `env`. `root` is the chroot that it runs in; `cwd`
    is a path inside that root. With `capture` the process has an open descriptor 3, and what it writes there comes
    back as bytes.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str = "/"
    root: Path | None = None
    umask: int | None = None
    capture: bool = False


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended: exit code as a shell gives it (128 + signal), and what it cost: seconds, the most memory
    that one of its processes had, bytes that it sent to disks, bytes over the network meanwhile. None: not known."""

    code: int
    seconds: float
    user_seconds: float
    system_seconds: float
    captured: bytes = b""
    peak_bytes: int | None = None
    written_bytes: int | None = None
    network_bytes: int | None = None


class Launcher:
    """Runs jobs one after another. A context manager, for its pipe.

    Args:
        on_lines: gets lines of output without their ends, as many as are there, decoded with surrogate escapes.
    """

    def __init__(self, on_lines: Callable[[Sequence[str]], None]) -> None:
        self._on_lines = on_lines
        self._rest = b""
        self.unsynced: Callable[[Callable[[], int]], int] | None = None
        """Starts a job so that it does not wait for the disk; None when it is to be started as any other."""

    def __enter__(self) -> Launcher:
        _keep_descriptors_to_ourselves()
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        with contextlib.suppress(OSError):  # an unprivileged user may be at the limit; the default size does
            fcntl.fcntl(self._write_end, _F_SETPIPE_SZ, _PIPE_BYTES)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.drain()
        os.close(self._read_end)
        os.close(self._write_end)

    @property
    def output(self) -> int:
        """The descriptor that output goes to."""
        return self._write_end

    def run(self, job: Job) -> Ended:
        """Run `job` to its end."""
        begun, network = clock.monotonic(), costs.network_bytes()
        capture_read, capture_write = os.pipe() if job.capture else (-1, -1)
        try:
            pid = self._start(partial(_spawn, job, self._write_end, capture_write))
        except OSError as error:
            if job.capture:
                os.close(capture_read)
            return self._never_ran(job, error, begun)
        finally:
            if job.capture:
                os.close(capture_write)
        try:
            with costs.Written(pid) as account:
                captured = self._follow(pid, capture_read)
                written = account.bytes()
            _, status, usage = os.wait4(pid, 0)
        except BaseException:
            _kill(pid)
            raise
        finally:
            if job.capture:
                os.close(capture_read)
        self.drain()
        if os.getpid() == 1:
            _keep_proc()
        return Ended(code=_shell_code(status), seconds=clock.monotonic() - begun, user_seconds=usage.ru_utime,
                     system_seconds=usage.ru_stime, captured=captured, peak_bytes=costs.peak_of(usage),
                     written_bytes=written, network_bytes=_difference(network, costs.network_bytes()))

    def _start(self, spawn: Callable[[], int]) -> int:
        return self.unsynced(spawn) if self.unsynced else spawn()

    def _never_ran(self, job: Job, error: OSError, begun: float) -> Ended:
        """What a shell says and does when a program cannot be started (C-098)."""
        self.drain()
        why = error.strerror or "unknown error"
        if error.errno == errno.ENOENT and _exists(job):
            why = "its interpreter (the program after #!) does not exist"
        self._on_lines([f"{job.argv[0]}: cannot be run: {why}"])
        code = NOT_EXECUTABLE if error.errno == errno.EACCES else NOT_FOUND
        return Ended(code=code, seconds=clock.monotonic() - begun, user_seconds=0.0, system_seconds=0.0)

    def _follow(self, pid: int, capture: int) -> bytes:
        """Read output until the process has ended."""
        captured: list[bytes] = []
        process = os.pidfd_open(pid)
        poll = select.poll()
        for descriptor in (process, self._read_end, capture):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        try:
            while True:
                ready = dict(poll.poll())
                if self._read_end in ready:
                    self._read()
                if capture in ready:
                    chunk = os.read(capture, _CHUNK)
                    captured.append(chunk)
                    if not chunk:
                        poll.unregister(capture)
                        capture = -1
                if process in ready:
                    if capture >= 0:
                        captured.append(_read_available(capture))
                    return b"".join(captured)
        finally:
            os.close(process)

    def _read(self) -> bool:
        """Take one chunk; False when nothing is there now."""
        try:
            chunk = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        whole, end, rest = chunk.rpartition(b"\n")
        if end:
            self._hand_on(self._rest + whole)
            self._rest = rest
        else:
            self._rest += rest
        if len(self._rest) > _LONGEST_LINE:
            self._hand_on_rest()
        return True

    def _hand_on(self, text: bytes) -> None:
        self._on_lines(text.decode("utf-8", "surrogateescape").split("\n"))

    def _hand_on_rest(self) -> None:
        rest, self._rest = self._rest, b""
        self._hand_on(rest)

    def drain(self) -> None:
        """Hand on all that was written so far, an unfinished last line too."""
        for _ in range(_PIPE_BYTES // _CHUNK + 2):
            if not self._read():
                break
        if self._rest:
            self._hand_on_rest()


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _read_available(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    parts = []
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(descriptor, _CHUNK):
            parts.append(chunk)
    return b"".join(parts)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def _shell_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _spawn(job: Job, output: int, capture: int) -> int:
    """Start the job; gives its process id.

    posix_spawn is several times faster than fork for a process of Python's size, but knows neither chroot nor chdir:
    we go there ourselves, start the job, and come back. Nothing else of the engine runs meanwhile, in whichever thread
    this is.

    Raises:
        OSError: it cannot be started.
    """
    actions = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    if capture >= 0:
        actions.append((os.POSIX_SPAWN_DUP2, capture, 3))
    env = dict(job.env)
    with _standing_in(job):
        program = job.argv[0] if "/" in job.argv[0] else _on_path(job.argv[0], env)
        try:
            return os.posix_spawn(program, list(job.argv), env, file_actions=actions, setsigdef=_DEFAULT_SIGNALS)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            argv = ["bash", *job.argv]  # as bash does with a file that no one can read as a program (C-097)
            return os.posix_spawn(_on_path("bash", env), argv, env, file_actions=actions, setsigdef=_DEFAULT_SIGNALS)


def _on_path(name: str, env: Mapping[str, str]) -> str:
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "command not found", name)
    return found


def _exists(job: Job) -> bool:
    with _standing_in(job):
        return os.path.exists(job.argv[0])


@contextlib.contextmanager
def _standing_in(job: Job) -> Iterator[None]:
    """Be in the job's root and directory, with its umask, for a moment."""
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    top = os.open("/", os.O_PATH | os.O_DIRECTORY)
    umask = os.umask(job.umask) if job.umask is not None else None
    try:
        if job.root is not None:
            os.chroot(job.root)
        os.chdir(job.cwd)
        yield
    finally:
        if job.root is not None:
            os.fchdir(top)
            os.chroot(".")
        os.fchdir(here)
        if umask is not None:
            os.umask(umask)
        os.close(here)
        os.close(top)


def _keep_descriptors_to_ourselves() -> None:
    """Descriptors that the caller left open are not for scripts."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


def end_strays(*, patience_seconds: float = 2.0) -> list[str]:
    """End every process in our PID namespace but ourselves and those that run us; gives their names.

    Daemons that a script started must not outlive its phase: they would keep files and mounts of the target in use.
    Does nothing unless we are the namespace's first process, whose children all strays become.
    """
    if os.getpid() != 1:
        return []
    _keep_proc()
    names = [_name_of(pid) for pid in _others()]
    if not names:
        return []
    deadline = clock.monotonic() + patience_seconds
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)  # all but ourselves at once: they may be faster than we at starting others
        while _others() and clock.monotonic() < deadline:
            _reap()
            select.select([], [], [], 0.01)
        deadline = clock.monotonic() + patience_seconds
    _reap()
    return names


def _keep_proc() -> None:
    """A script may have unmounted our /proc: what lies under it shows other processes, or none."""
    try:
        ours = os.readlink("/proc/self") == "1"
    except OSError:
        ours = False
    if not ours:
        kernel.mount("proc", Path("/proc"), fstype="proc")


def strays() -> list[str]:
    """Names of the processes that scripts have left running; none unless we are our PID namespace's first process."""
    if os.getpid() != 1 or not _listed():
        return []
    return [_name_of(pid) for pid in _others()]


def _others() -> list[int]:
    """Living processes besides us; the dead that nobody has waited for yet do not count."""
    _reap()
    return _listed()


def _listed() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return str(pid)
