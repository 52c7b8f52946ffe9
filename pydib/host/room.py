"""The room: a root of the build's own, with its directories at paths that are the same in every build.

It is a tmpfs on which each entry of the host's root directory is mounted again, so that scripts find everything where
it always is; and the build's own directories, wherever they lie, are at `BUILD_DIR` and `IMAGE_DIR`. Environments, and
what scripts write down from them, are then equal from build to build and from user to user.

What a script makes in `/` itself goes with the room. A build that is started in `/`, or whose output goes there, keeps
the host's root at `HOST` for it.

A build without root has *fences* on top: all of the host is read-only in its room but for some directories, and /dev is
one of its own. `namespace.nested` makes that final: mounts of an outer user namespace cannot be changed in an inner
one (mount_namespaces(7)).

`furnish` decides and touches nothing; each of its steps can say what it will do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydib.host import kernel, sandbox
from pydib.host.workspace import BUILD_PREFIX, IMAGE_PREFIX

OWN = Path("/.pydib")
BUILD_DIR, IMAGE_DIR = OWN / f"{BUILD_PREFIX}00000000", OWN / f"{IMAGE_PREFIX}00000000"
HOST = OWN / "host"


class Operation(Protocol):
    """A change to this mount namespace: its text says what it does."""

    def do(self) -> None:
        """Carry it out; OSError when the kernel refuses."""


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """A fresh tmpfs, mounted for a moment on `over`, becomes the root; the old root lies at `old` then."""

    over: Path
    old: Path

    def __str__(self) -> str:
        return f"make a tmpfs the root, with the old root at {self.old}"

    def do(self) -> None:
        """Carry it out."""
        kernel.mount("pydib", self.over, fstype="tmpfs", data="mode=0755,size=16m")
        old = self.over / self.old.relative_to("/")
        old.mkdir(parents=True)
        kernel.pivot_root(self.over, old)
        os.chdir("/")


@dataclass(frozen=True, kw_only=True)
class Bind:
    """What is at `source`, with all that is mounted in there, at `target` too."""

    source: Path
    target: Path
    folder: bool = True

    def __str__(self) -> str:
        return f"bind {self.source} on {self.target}"

    def do(self) -> None:
        """Carry it out."""
        if not self.target.exists():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.target.mkdir() if self.folder else self.target.touch()
        kernel.mount(self.source, self.target, flags=kernel.MS_BIND | kernel.MS_REC)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A symbolic link at `target` that points to `to`."""

    target: Path
    to: str

    def __str__(self) -> str:
        return f"link {self.target} to {self.to}"

    def do(self) -> None:
        """Carry it out."""
        self.target.symlink_to(self.to)


@dataclass(frozen=True, kw_only=True)
class Forget:
    """What is mounted on `target` goes, and the folder too."""

    target: Path

    def __str__(self) -> str:
        return f"unmount {self.target}"

    def do(self) -> None:
        """Carry it out."""
        kernel.detach(self.target)
        self.target.rmdir()


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A filesystem without a device, of this type, on the new folder `target`."""

    fstype: str
    target: Path
    options: str = ""

    def __str__(self) -> str:
        return f"mount {self.fstype} on {self.target}"

    def do(self) -> None:
        """Carry it out."""
        self.target.mkdir(exist_ok=True)
        kernel.mount(self.fstype, self.target, fstype=self.fstype, data=self.options)


@dataclass(frozen=True, kw_only=True)
class Fence:
    """`target`, and all that is mounted below it, becomes read-only."""

    target: Path

    def __str__(self) -> str:
        return f"make {self.target} read-only"

    def do(self) -> None:
        """Carry it out."""
        kernel.make_read_only(self.target)


DEVICES = ("full", "fuse", "kvm", "net/tun", "null", "random", "tty", "urandom", "zero")
"""What a /dev of our own has of the host's, as far as the host has it."""
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
                "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}


def furnish(*, top: Path, build_dir: Path, image_dir: Path, keep_host: bool = False, root: Path = Path("/")
            ) -> tuple[Operation, ...]:
    """The steps that make the room.

    Args:
        top: the directory around `build_dir`, which scripts shall not see.
        build_dir, image_dir: where the build's directories really lie.
        keep_host: whether the host's root stays reachable at `HOST`.
        root: whose entries to look at.
    """
    return (
        Pivot(over=build_dir, old=HOST),
        *_entries(root),
        *_places(top, build_dir, image_dir),
        *(() if keep_host else (Forget(target=HOST),)),
    )


def furnish_fenced(*, top: Path, build_dir: Path, image_dir: Path, writable: Iterable[Path], root: Path = Path("/")
                   ) -> tuple[Operation, ...]:
    """The steps that make the room of a build without root.

    Args:
        top: the directory around `build_dir`, which scripts shall not see.
        build_dir, image_dir: where the build's directories really lie.
        writable: existing directories that scripts may write to; an outer one stands before what is in it.
        root: whose entries to look at.
    """
    open_to_scripts = sorted({path.resolve() for path in writable})
    entries = [step for step in _entries(root) if step.target != Path("/dev")]
    return (
        Pivot(over=build_dir, old=HOST),
        *entries,
        *(Fence(target=step.target) for step in entries if isinstance(step, Bind) and step.target != Path("/proc")),
        *(Bind(source=on_host(path), target=path) for path in open_to_scripts),
        *_devices(root),
        *_places(top, build_dir, image_dir),
        Forget(target=HOST),
    )


def _places(top: Path, build_dir: Path, image_dir: Path) -> Iterator[Operation]:
    yield Bind(source=on_host(build_dir), target=BUILD_DIR)
    yield Bind(source=on_host(image_dir), target=IMAGE_DIR)
    hidden = top.resolve()
    if hidden.parent != Path("/"):
        yield Mount(fstype="tmpfs", target=hidden, options="mode=0700,size=64k")


def _devices(root: Path) -> Iterator[Operation]:
    """A /dev with what a chroot and its scripts need."""
    dev = Path("/dev")
    yield Mount(fstype="tmpfs", target=dev, options="mode=0755,size=16m")
    for name in DEVICES:
        if (root / "dev" / name).exists():
            yield Bind(source=HOST / "dev" / name, target=dev / name, folder=False)
    yield Mount(fstype="devpts", target=dev / "pts", options="gid=5,mode=620,ptmxmode=666")
    yield Mount(fstype="tmpfs", target=dev / "shm", options="mode=1777")
    for name, to in DEVICE_LINKS.items():
        yield Link(target=dev / name, to=to)


def is_root(path: Path) -> bool:
    """Whether `path` is the root directory."""
    return path.resolve() == Path("/")


def on_host(path: Path) -> Path:
    """Where `path` lies before the room is finished, and afterwards in one that keeps the host's root."""
    return HOST / path.resolve().relative_to("/")


def _entries(root: Path) -> Iterator[Bind | Link]:
    """Each entry of the root directory once more, but for directories of builds, which come and go."""
    with os.scandir(root) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        target = Path("/") / entry.name
        if entry.name.startswith((OWN.name, BUILD_PREFIX, IMAGE_PREFIX)):
            continue
        if entry.is_symlink():
            yield Link(target=target, to=os.readlink(entry.path))
        else:
            yield Bind(source=HOST / entry.name, target=target, folder=entry.is_dir())


def enter(steps: Iterable[Operation]) -> None:
    """Carry the steps out, in a mount namespace of our own; our working directory keeps its name.

    Raises:
        SandboxError: the kernel refuses one of them.
    """
    here = os.getcwd()
    for step in steps:
        try:
            step.do()
        except OSError as error:
            problem = sandbox.explained(what=f"the build's own root cannot be made ({error.strerror})")
            problem.where = str(step)
            raise problem from None
    with suppress(OSError):  # it may be gone, or unreachable for us: scripts are told by their own start
        os.chdir(here)
