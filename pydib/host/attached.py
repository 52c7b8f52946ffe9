"""Programs that talk with the user: they get the caller's own stdin, stdout and stderr, a terminal if it is one.

Scripts of a build do not come through here: their output is read and logged, see `host/script.py`.
"""

from __future__ import annotations

import errno
import os

from pydib import clock
from pydib.host import script
from pydib.host.script import Ended, Job, Launcher


class AttachedLauncher(Launcher):
    """A launcher whose jobs write where we write. `on_lines` gets only what the launcher itself has to say."""

    def run(self, job: Job) -> Ended:
        """Run `job` to its end."""
        begun = clock.monotonic()
        capture_read, capture_write = os.pipe() if job.capture else (-1, -1)
        try:
            pid = _spawn(job, capture_write)
        except OSError as error:
            _close(capture_read)
            return self._never_ran(job, error, begun)
        finally:
            _close(capture_write)
        try:
            captured = self._follow(pid, capture_read)
            _, status, usage = os.wait4(pid, 0)
        except BaseException:
            script._kill(pid)
            raise
        finally:
            _close(capture_read)
        return Ended(code=script._shell_code(status), seconds=clock.monotonic() - begun, captured=captured,
                     user_seconds=usage.ru_utime, system_seconds=usage.ru_stime)


def on_terminal() -> bool:
    """Whether what such a program writes is shown to somebody, and kept nowhere."""
    return os.isatty(1) and os.isatty(2)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _spawn(job: Job, capture: int) -> int:
    """Start the job; gives its process id. A file that no one can read as a program is bash's (C-097).

    Raises:
        OSError: it cannot be started.
    """
    env = dict(job.env)
    actions = [(os.POSIX_SPAWN_DUP2, capture, 3)] if capture >= 0 else []
    signals = script._DEFAULT_SIGNALS
    with script._standing_in(job):
        program = job.argv[0] if "/" in job.argv[0] else script._on_path(job.argv[0], env)
        try:
            return os.posix_spawn(program, list(job.argv), env, file_actions=actions, setsigdef=signals)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            shell = script._on_path("bash", env)
            return os.posix_spawn(shell, ["bash", *job.argv], env, file_actions=actions, setsigdef=signals)
