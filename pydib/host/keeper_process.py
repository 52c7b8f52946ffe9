"""The process that runs scripts under test, each in a root of its own; `keeper.py` starts it and talks to it.

A program of its own (`python -I -S keeper_process.py`), with nothing of pydib in it: so it is small, and a fork of it
costs half a millisecond, while one of a test runner costs many. It lives in a user, mount, IPC, UTS and (without
network) network namespace; each script gets mount and PID namespaces below that, its mounts, and a `pivot_root`, so
that it sees what its job names and nothing else. See user_namespaces(7), pivot_root(2), and the kernel's
Documentation/filesystems/overlayfs.rst.

Messages are marshalled values after their length, over one socket. When the socket closes, the process removes its
directory and ends.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import select
import shutil
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
SYS_PIVOT_ROOT = {"x86_64": 155, "i386": 217, "i686": 217}.get(os.uname().machine, 41)
"""41 in the generic table that every newer architecture has."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
READ_ONLY_IN_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""What a root without capabilities could still write there, since it is its owner."""

LARGEST_FILE_BYTES = 1 << 20
Entry = tuple[int, int, int, int, int, int, int, bytes]
"""Mode, user, group, size in bytes, time of change in nanoseconds, inode, device number, content or link."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, *what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), " ".join(what))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2).

    Raises:
        OSError: with the kernel's reason.
    """
    encoded = [os.fsencode(word) for word in (source, target, kind, data)]
    _check(_libc.mount(encoded[0], encoded[1], encoded[2], flags, encoded[3]), "mount", kind or "bind", target)


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Let `target` be `source` as well, with all that is mounted below it."""
    mount(source, target, flags=MS_BIND | MS_REC)
    if read_only:
        make_read_only(target)


def make_read_only(target: str) -> None:
    """Nothing can be written through the mount at `target`. Flags that it has stay, or the kernel refuses."""
    flags = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def listing(root: bytes, *, contents: bool, skip: frozenset[bytes] = frozenset()) -> dict[bytes, Entry]:
    """Everything below `root`, by its path from there; whiteouts of overlayfs are nothing.

    Args:
        contents: read files up to a megabyte, too; links always.
        skip: paths not to look at, nor below.
    """
    return dict(_walk(root, b"", contents, skip))


def _walk(root: bytes, inside: bytes, contents: bool, skip: frozenset[bytes]) -> Iterator[tuple[bytes, Entry]]:
    with os.scandir(root + inside) as entries:
        for entry in entries:
            path = inside + b"/" + entry.name
            found = entry.stat(follow_symlinks=False)
            if path in skip or (stat.S_ISCHR(found.st_mode) and not found.st_rdev):
                continue
            yield path, (found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_ino,
                         found.st_rdev, _content(root + path, found, contents))
            if stat.S_ISDIR(found.st_mode):
                yield from _walk(root, path, contents, skip)


def _content(path: bytes, found: os.stat_result, contents: bool) -> bytes:
    if stat.S_ISLNK(found.st_mode):
        return os.readlink(path)
    if contents and stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_FILE_BYTES:
        with open(path, "rb") as file:
            return file.read()
    return b""


class Messages:
    """Values sent over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, value: Any) -> None:
        """Send one value."""
        text = marshal.dumps(value)
        self._connection.sendall(struct.pack("<Q", len(text)) + text)

    def receive(self) -> object:
        """Wait for one value.

        Raises:
            EOFError: the other side has gone.
        """
        return marshal.loads(self._exactly(struct.unpack("<Q", self._exactly(8))[0]))

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            piece = self._connection.recv(min(count - len(parts), 1 << 20))
            if not piece:
                raise EOFError
            parts += piece
        return bytes(parts)


def serve(messages: Messages, directory: str, network: bool) -> None:
    """Enter namespaces, then do what the other side asks for, until it goes."""
    messages.send(_enter_user_namespace())
    messages.receive()  # the other side has mapped ids
    try:
        os.setgid(0)
        os.setuid(0)
        _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (0 if network else CLONE_NEWNET)), "unshare")
        mount("", "/", flags=MS_REC | MS_PRIVATE)
        _make_devices(directory)
        _make_host_root(directory)
        messages.send("")
    except OSError as error:
        messages.send(f"{error.filename or ''}: {error.strerror}")
        return
    while True:
        messages.send(_answer(messages.receive()))


def _enter_user_namespace() -> str:
    """Say why that is not possible, or nothing. Root needs it as well: without it a script could make devices."""
    if _libc.unshare(CLONE_NEWUSER) < 0:
        return os.strerror(ctypes.get_errno())
    return ""


def _make_host_root(directory: str) -> None:
    """The tree that scripts on the host have as their root, read-only to them."""
    _new_tmpfs(f"{directory}/host")
    for name in ("usr", "dev", "proc", "sys", "etc", "tmp", "run", "var", "root", "home"):
        os.mkdir(f"{directory}/host/{name}")
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", f"{directory}/host/{name}")
    os.symlink("../tmp", f"{directory}/host/var/tmp")


def _new_tmpfs(place: str) -> None:
    os.mkdir(place)
    mount("tmpfs", place, "tmpfs", MS_NOSUID, "mode=0755")


def _make_devices(directory: str) -> None:
    """A /dev for all scripts, read-only to them."""
    _new_tmpfs(f"{directory}/dev")
    for name in ("pts", "shm", "pydib-testkit"):
        os.mkdir(f"{directory}/dev/{name}")
    for name in DEVICES:
        with open(f"{directory}/dev/{name}", "w"):
            pass
        mount(f"/dev/{name}", f"{directory}/dev/{name}", flags=MS_BIND)
    for name, target in DEVICE_LINKS.items():
        os.symlink(f"/proc/self/{target}", f"{directory}/dev/{name}")


def _answer(request: object) -> object:
    assert isinstance(request, dict)
    verbs: dict[str, Callable[..., dict[str, object]]] = {
        "run": run, "list": _list, "remove": _remove, "chown": _chown, "read": _read}
    try:
        return verbs[request.pop("do")](**request)
    except OSError as error:
        return {"error": (error.errno or 0, error.strerror or str(error), error.filename or "")}


def _list(root: bytes, contents: bool, skip: list[bytes]) -> dict[str, object]:
    return {"entries": listing(root, contents=contents, skip=frozenset(skip))}


def _remove(path: str) -> dict[str, object]:
    shutil.rmtree(path, ignore_errors=True)
    return {}


def _chown(path: str, user: int, group: int) -> dict[str, object]:
    os.chown(path, user, group, follow_symlinks=False)
    return {}


def _read(path: str) -> dict[str, object]:
    with open(path, "rb") as file:
        return {"content": file.read()}


def run(root: str, mounts: list[tuple[str, ...]], procs: list[str], argv: list[str], env: dict[bytes, bytes],
        cwd: str, seconds: float) -> dict[str, object]:
    """Run one program in a root of its own.

    Args:
        root: directory that becomes its `/`.
        mounts: see `_mount_one`; made in this order, before.
        procs: where proc is mounted.
        argv: the program and its arguments, as seen from inside.
        cwd: where it starts, as seen from inside.
        seconds: after which it and all that it started is killed.

    Returns:
        `code` (as a shell gives it) and `output`; `refused` instead of a code when the machine did not allow the root.
    """
    reader, writer = os.pipe()
    problem_reader, problem_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        try:
            _make_root(root, mounts)
            os._exit(_first_process(root, procs, argv, env, cwd, problem_writer))
        except BaseException as error:
            os.write(problem_writer, str(error).encode())
            os._exit(125)
    os.close(writer)
    os.close(problem_writer)
    try:
        output, timed_out = _follow(pid, reader, seconds)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        refused = os.read(problem_reader, 1 << 12).decode(errors="replace")
    finally:
        os.close(reader)
        os.close(problem_reader)
    return {"code": code, "output": output, "timed_out": timed_out, "refused": refused}


def _make_root(root: str, mounts: list[tuple[str, ...]]) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
    for what in mounts:
        _mount_one(*what)
    bind(root, root)  # last: an overlay's upper and work directory must lie on one mount


def _mount_one(kind: str, source: str, target: str = "", data: str = "") -> None:
    """`bind` or `bind-ro` SOURCE TARGET, `overlay` or `tmpfs` TARGET with DATA, `read-only` TARGET (named as source),
    `mkdir` PATH."""
    if kind == "mkdir":
        os.makedirs(source, exist_ok=True)
    elif kind == "read-only":
        make_read_only(source)
    elif kind in ("bind", "bind-ro"):
        if not os.path.lexists(target):
            _make_mount_point(source, target)
        bind(source, target, read_only=kind == "bind-ro")
    else:
        mount(kind, target, kind, 0, data)


def _make_mount_point(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w"):
            pass


def _first_process(root: str, procs: list[str], argv: list[str], env: dict[bytes, bytes], cwd: str,
                   problems: int) -> int:
    """Fork the first process of the new PID namespace, which starts the program; gives the program's exit code."""
    ours, theirs = socket.socketpair()
    proc = os.open("/proc", os.O_PATH)  # pivot_root below takes our own root with it
    maps = {kind: _same_ids(kind) for kind in ("uid_map", "gid_map")}
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for place in procs:
                _mount_proc(place)
            _change_root(root)
            _lock_mounts(theirs)
            os.chdir(cwd)
            os._exit(_start(argv, env))
        except BaseException as error:
            os.write(problems, str(error).encode())
        os._exit(125)
    theirs.close()
    if ours.recv(1):
        for kind, text in maps.items():
            file = os.open(f"{pid}/{kind}", os.O_WRONLY, dir_fd=proc)
            os.write(file, text)
            os.close(file)
        ours.send(b".")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


def _start(argv: list[str], env: dict[bytes, bytes]) -> int:
    """Start the program, and reap what it leaves behind until it has ended."""
    child = os.posix_spawn(argv[0], argv, env, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
                           setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP))
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _lock_mounts(helper: socket.socket) -> None:
    """Enter one more user namespace: a mount that comes from the one above can be neither undone nor made writable
    (mount_namespaces(7)). The program keeps the right to mount things of its own."""
    _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
    helper.send(b".")
    helper.recv(1)


def _same_ids(kind: str) -> bytes:
    """A map in which everybody has the number that he has here."""
    with open(f"/proc/self/{kind}") as file:
        rows = [line.split() for line in file]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in rows).encode()


def _mount_proc(place: str) -> None:
    try:
        mount("proc", place, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except PermissionError:  # in some containers proc cannot be mounted anew
        bind("/proc", place)
    for name in READ_ONLY_IN_PROC:
        if os.path.exists(f"{place}/{name}"):
            bind(f"{place}/{name}", f"{place}/{name}", read_only=True)


def _change_root(root: str) -> None:
    os.chdir(root)
    _check(_libc.syscall(SYS_PIVOT_ROOT, b".", b"."), "pivot_root", root)
    _check(_libc.umount2(b".", MNT_DETACH), "umount", root)
    os.chdir("/")


def _follow(pid: int, reader: int, seconds: float) -> tuple[bytes, bool]:
    """Read output until the process and all that it started have ended; whether they had to be killed."""
    parts: list[bytes] = []
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    timed_out = False
    while True:
        left = deadline - time.monotonic()
        if left <= 0 and not timed_out:
            timed_out = True
            os.kill(pid, signal.SIGKILL)
        if poll.poll(None if timed_out else left * 1000):
            piece = os.read(reader, 1 << 16)
            if not piece:
                return b"".join(parts), timed_out
            parts.append(piece)


def main() -> None:
    """Serve on the descriptor in the first argument; the others are the directory and whether there is a network."""
    directory = sys.argv[2]
    messages = Messages(socket.socket(fileno=int(sys.argv[1])))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        serve(messages, directory, sys.argv[3] == "network")
    except (EOFError, ConnectionError):
        pass
    finally:
        for name in ("dev", "host"):
            _libc.umount2(os.fsencode(f"{directory}/{name}"), MNT_DETACH)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"keeper: {error}" if error.errno != errno.EPIPE else 1)
