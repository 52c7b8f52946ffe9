"""The keeper: one small process that runs scripts under test, each in a root of its own. See `keeper_process.py`."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydib.errors import EngineError
from pydib.host import keeper_process
from pydib.host.command import find_tool
from pydib.host.keeper_process import Entry, Messages, listing

PROGRAM = Path(keeper_process.__file__)
SMALLEST_TMPFS_BYTES = 32 << 20


class KeeperRefused(EngineError):
    """This machine does not allow what the keeper needs."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One mount of a job: `bind`, `bind-ro`, `overlay`, `tmpfs`, `read-only` or `mkdir`, as `keeper_process` says."""

    kind: str
    source: str
    target: str = ""
    data: str = ""

    def words(self) -> tuple[str, ...]:
        """As the process takes it."""
        return (self.kind, self.source, self.target, self.data)


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a job ended: exit code as a shell gives it, stdout and stderr together; `timed_out` when it was killed."""

    code: int
    output: str
    timed_out: bool


@dataclass(frozen=True)
class IdMap:
    """User or group numbers inside and outside: (inside, outside, count) each, as in /proc/PID/uid_map."""

    ranges: tuple[tuple[int, int, int], ...]

    def inside(self, number: int) -> int:
        """What a number that `stat` gives outside is inside; 65534 (nobody) if it is nothing there."""
        for inside, outside, count in self.ranges:
            if outside <= number < outside + count:
                return number - outside + inside
        return 65534

    def text(self) -> str:
        """For the kernel."""
        return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in self.ranges)


class Keeper:
    """Starts the process, and stops it with `close`.

    Args:
        directory: its own; removed with all in it at the end, also when we are killed.
        network: let scripts see the host's network.

    Raises:
        KeeperRefused: namespaces cannot be made here.
    """

    def __init__(self, directory: Path, *, network: bool = False) -> None:
        self.directory = directory
        self.users, self.groups = _maps()
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-I", "-S", str(PROGRAM), str(theirs.fileno()), str(self.directory),
                "network" if network else ""]
        self._process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                         env={"LC_ALL": "C.UTF-8"})
        theirs.close()
        self._connection = ours
        self._messages = Messages(ours)
        try:
            self._greet()
        except (EOFError, KeeperRefused):
            self.close()
            raise

    def _greet(self) -> None:
        """Map ids once the process is in its user namespace."""
        problem = str(self._messages.receive())
        if problem:
            raise KeeperRefused(f"this machine makes no user namespaces: {problem}", hint="see `pydib doctor`")
        self._map_ids()
        self._messages.send("mapped")
        refused = str(self._messages.receive())
        if refused:
            raise KeeperRefused(f"this machine makes no namespaces for scripts under test: {refused}",
                                hint="see `pydib doctor`")

    def _map_ids(self) -> None:
        pid = self._process.pid
        if os.geteuid() == 0:
            Path(f"/proc/{pid}/uid_map").write_text(self.users.text())
            Path(f"/proc/{pid}/gid_map").write_text(self.groups.text())
            return
        for program, ids in (("newuidmap", self.users), ("newgidmap", self.groups)):
            words = ids.text().split()
            if len(ids.ranges) > 1 and subprocess.run([program, str(pid), *words], capture_output=True,
                                                      check=False).returncode == 0:
                continue
            self._map_only_me(pid, program)

    def _map_only_me(self, pid: int, program: str) -> None:
        kind, me = ("uid", os.geteuid()) if program == "newuidmap" else ("gid", os.getegid())
        only = IdMap(((0, me, 1),))
        if kind == "uid":
            self.users = only
        else:
            self.groups = only
            Path(f"/proc/{pid}/setgroups").write_text("deny")
        Path(f"/proc/{pid}/{kind}_map").write_text(only.text())

    @property
    def sees_what_we_see(self) -> bool:
        """Whether numbers of users are the same inside and outside, and we may read what scripts leave."""
        return os.geteuid() == 0

    @property
    def maps_others(self) -> bool:
        """Whether files can belong to others than root in there."""
        return os.geteuid() == 0 or len(self.users.ranges) > 1

    def run(self, *, root: Path, mounts: Sequence[Mount], procs: Sequence[Path], argv: Sequence[str],
            env: Mapping[str, str], cwd: str, seconds: float) -> Done:
        """Run a program; see `keeper_process.run`.

        Raises:
            KeeperRefused: a mount was not possible.
        """
        answer = self._ask(do="run", root=str(root), mounts=[one.words() for one in mounts],
                           procs=[str(place) for place in procs], argv=list(argv), cwd=cwd, seconds=float(seconds),
                           env={os.fsencode(name): os.fsencode(value) for name, value in env.items()})
        if answer["refused"]:
            raise KeeperRefused(f"the script's root cannot be made here: {answer['refused']}")
        return Done(code=int(str(answer["code"])), timed_out=bool(answer["timed_out"]),
                    output=_bytes(answer["output"]).decode("utf-8", "surrogateescape"))

    def listing(self, root: Path, *, contents: bool, skip: frozenset[bytes] = frozenset()) -> dict[bytes, Entry]:
        """What is below `root`, with owners as they are inside; see `keeper_process.listing`.

        Raises:
            OSError: something cannot be read.
        """
        if self.sees_what_we_see:
            return listing(os.fsencode(root), contents=contents, skip=skip)
        found = self._ask(do="list", root=os.fsencode(root), contents=contents, skip=list(skip))["entries"]
        assert isinstance(found, dict)
        return found

    def chown(self, path: Path, user: int, group: int) -> None:
        """Give a file away, links not followed.

        Raises:
            OSError: there is no such user in there.
        """
        self._ask(do="chown", path=str(path), user=user, group=group)

    def read(self, path: Path) -> bytes:
        """A file that may belong to another user in there.

        Raises:
            OSError: it cannot be read.
        """
        return _bytes(self._ask(do="read", path=str(path))["content"])

    def remove(self, path: Path) -> None:
        """Remove a directory with all in it."""
        if self.sees_what_we_see:
            shutil.rmtree(path, ignore_errors=True)
        else:
            self._ask(do="remove", path=str(path))

    def close(self) -> None:
        """End the process; it removes its directory."""
        self._connection.close()
        self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _ask(self, **request: object) -> dict[str, object]:
        self._messages.send(request)
        answer = self._messages.receive()
        assert isinstance(answer, dict)
        if "error" in answer:
            raise OSError(*answer["error"])
        return answer

    @cached_property
    def host_root(self) -> Path:
        """The root of scripts that run on the host."""
        return self.directory / "host"

    @cached_property
    def devices(self) -> Path:
        """The /dev of all scripts."""
        return self.directory / "dev"


def fast_directory(otherwise: Path) -> Path:
    """A tmpfs on which programs may run and attributes may be set, or `otherwise`."""
    for place in (Path("/dev/shm"), Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")):
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK) and _is_usable(place):
            return place
    return otherwise


def _is_usable(place: Path) -> bool:
    found = os.statvfs(place)
    if found.f_flag & os.ST_NOEXEC or found.f_bavail * found.f_frsize < SMALLEST_TMPFS_BYTES:
        return False
    try:
        with tempfile.TemporaryDirectory(prefix="pydib-probe-", dir=place) as probe:
            os.setxattr(probe, "user.overlay.opaque", b"y")  # tmpfs has such attributes since Linux 6.6
    except OSError:
        return False
    return True


def _maps() -> tuple[IdMap, IdMap]:
    """Root's own numbers for root; for others themselves as root, and their subordinate ids behind."""
    if os.geteuid() == 0:
        return _same("uid"), _same("gid")
    me = pwd.getpwuid(os.geteuid()).pw_name if _has_name() else str(os.geteuid())
    return (_behind(os.geteuid(), Path("/etc/subuid"), me, "newuidmap"),
            _behind(os.getegid(), Path("/etc/subgid"), me, "newgidmap"))


def _has_name() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _same(kind: str) -> IdMap:
    rows = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return IdMap(tuple((int(inside), int(inside), int(count)) for inside, _, count in rows))


def _behind(number: int, file: Path, name: str, program: str) -> IdMap:
    ranges = [(0, number, 1)]
    if file.is_file() and find_tool(program):
        granted = [line.split(":") for line in file.read_text().splitlines() if line.startswith(f"{name}:")]
        for _, first, count in granted[:1]:
            ranges.append((1, int(first), int(count)))
    return IdMap(tuple(ranges))


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
