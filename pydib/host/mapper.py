"""Device-mapper maps that end with whoever made them (dmsetup(8), lvm(8), kpartx(8)).

A map outlives the process that made it, and keeps the loop device below it. But the kernel can be told to remove a
map as soon as nobody has it open (*deferred* removal): we keep the maps open meanwhile, so they end with us, even by
SIGKILL, and with them the loop device.

A build can be killed between the making of a map and that order, too: the next one then finds it (leftovers.py). Nodes
in /dev are no business of the kernel's, and always stay.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import PydibError
from pydib.host.command import run
from pydib.host.loop import SYS_BLOCK

CONTROL = Path("/dev/mapper/control")
NODES = Path("/dev/mapper")
SYS_DEV_BLOCK = Path("/sys/dev/block")
NO_UDEV = {"DM_DISABLE_UDEV": "1", "LC_ALL": "C"}
"""libdevmapper then makes device nodes itself. Waiting for udev would never end in an IPC namespace of our own,
where udev cannot see the semaphore on which we wait."""


@dataclass(frozen=True, kw_only=True)
class Map:
    """A map by the name that its maker gave it, and the device that is always there, such as /dev/dm-0."""

    name: str
    device: str


def has_device_mapper() -> bool:
    """Whether the kernel has device-mapper and lets us use it. Opening the file loads the module, if there is one."""
    try:
        os.close(os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def maps_on(device: str) -> tuple[Map, ...]:
    """All maps that lie on `device` or on its partitions, directly or on one another; each after those it lies on.

    Raises:
        OSError: there is no such device.
    """
    number = os.stat(device).st_rdev  # a node's name need not be the kernel's
    return maps_above(Path(os.path.realpath(SYS_DEV_BLOCK / f"{os.major(number)}:{os.minor(number)}")).name)


def maps_above(name: str, *, sys_block: Path = SYS_BLOCK) -> tuple[Map, ...]:
    """`maps_on` the device that the kernel calls `name`."""
    found: dict[str, Map] = {}
    for place in (sys_block / name, *sorted((sys_block / name).glob(f"{name}p*"))):
        for holder in sorted((place / "holders").glob("dm-*")):
            known = Map(name=(sys_block / holder.name / "dm" / "name").read_text().rstrip("\n"),
                        device=f"/dev/{holder.name}")
            for one in (known, *maps_above(holder.name, sys_block=sys_block)):
                found.pop(one.name, None)  # one that lies on several goes after the last of them
                found[one.name] = one
    return tuple(found.values())


@contextmanager
def bound_to_us(*devices: str) -> Iterator[None]:
    """The maps on `devices` go when this process ends, however it does. After the block they are as before: who made
    them removes them.

    Raises:
        CommandFailed, ToolMissing: from dmsetup.
        OSError: a map cannot be opened.
    """
    with ExitStack() as stack:
        for name, device in {one.name: one.device for below in devices for one in maps_on(below)}.items():
            stack.callback(os.close, os.open(device, os.O_RDONLY | os.O_CLOEXEC))
            _dmsetup("remove", "--deferred", name)
            _dmsetup("mknodes", name)  # libdevmapper takes the node away at once
            stack.callback(_dmsetup, "message", name, "0", "@cancel_deferred_remove")
        yield


def leave_alone(device: str) -> None:
    """The maps on `device` outlive us after all."""
    for one in maps_on(device):
        _dmsetup("message", one.name, "0", "@cancel_deferred_remove")


def drop_stale_nodes() -> None:
    """Remove from /dev the nodes and LVM's links that lead nowhere, since the kernel removed their maps."""
    if any(map(_is_stale, NODES.glob("*"))):
        with suppress(PydibError):
            _dmsetup("mknodes")
        _drop_links()


def _is_stale(node: Path) -> bool:
    """Whether the kernel has no map of that name and number."""
    try:
        found = node.stat()
        if not stat.S_ISBLK(found.st_mode):
            return False
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return (SYS_DEV_BLOCK / number / "dm" / "name").read_text().rstrip("\n") != node.name
    except FileNotFoundError:
        return True


def _drop_links() -> None:
    """Remove the links that LVM made as /dev/GROUP/VOLUME to nodes that are gone."""
    for link in Path("/dev").glob("*/*"):
        with suppress(OSError):
            if link.is_symlink() and not link.exists() and Path(os.readlink(link)).parent == NODES:
                link.unlink()
                link.parent.rmdir()


def _dmsetup(*words: str) -> None:
    run("dmsetup", *words, env={**os.environ, **NO_UDEV})
