"""A user without any rights, and a copy of pydib that such a user can read."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class User:
    """Who it is, a folder that belongs to them, and where their copy of pydib is."""

    name: str
    number: int
    home: Path
    library: Path

    def argv(self, *command: str | Path, cwd: Path | None = None) -> list[str]:
        """`command` as this user, without anything of our environment but what is named here."""
        env = [f"HOME={self.home}", f"USER={self.name}", f"LOGNAME={self.name}", f"PYTHONPATH={self.library}",
               f"PATH={os.environ['PATH']}"]
        return ["runuser", "-u", self.name, "--", "env", f"--chdir={cwd or self.home}", "-i", *env, *map(str, command)]

    def python(self, program: str) -> list[str]:
        """The start of a command that runs `program` with the system's Python and the copy of pydib."""
        return ["/usr/bin/python3", "-c", program]

    def processes(self) -> list[int]:
        """Living processes with their user id (as the host sees it)."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if path.stat().st_uid == self.number and (path / "stat").read_text().rsplit(") ", 1)[1][0] != "Z":
                    found.append(int(path.name))
        return found


@contextmanager
def ordinary_user(*, ids: bool = True) -> Iterator[User]:
    """A new user with or without subordinate ids, gone afterwards with all that is theirs."""
    place = Path(tempfile.mkdtemp(prefix="pydib-user-", dir="/home"))
    name = place.name  # nobody else has it, whoever runs tests at the same time, or asks for a second user
    place.chmod(0o755)
    try:
        no_ids = [] if ids else ["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"]
        subprocess.run(["useradd", *no_ids, "--home-dir", place / "home", "--create-home", name], check=True)
        user = User(name=name, number=pwd.getpwnam(name).pw_uid, home=place / "home", library=place / "lib")
        copy_library(user.library)
        yield user
        _end(user)
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(Path(tempfile.gettempdir(), f"pytest-of-{name}"), ignore_errors=True)
        shutil.rmtree(place)


def _end(user: User) -> None:
    for pid in user.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while user.processes() and time.monotonic() < deadline:
        time.sleep(0.05)


def copy_library(place: Path) -> None:
    """pydib with all it needs, readable for everyone: an ordinary user may not read this checkout or its .venv."""
    packages = Path(sysconfig.get_paths()["purelib"])
    leave_out = shutil.ignore_patterns("mypy*", "ruff*", "pip*", "setuptools*", "__pycache__", "pytest*", "_pytest",
                                       "pydib*", "_pydib*")
    shutil.copytree(packages, place, ignore=leave_out)
    for name in ("pydib", "elements", "phases", "fixtures"):
        shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
