"""LVM volumes (contract C-219; lvm(8)).

Every command sees only the devices of this build: a volume group of the same name on the host stays untouched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from pydib.blockdev.nodes import LogicalVolume, PhysicalVolume, VolumeGroup
from pydib.host.command import run
from pydib.host.mapper import NO_UDEV, bound_to_us

CONFIGURATION = ("activation/udev_sync=0 activation/udev_rules=0 activation/monitoring=0 backup/backup=0 "
                 "backup/archive=0 global/event_activation=0 devices/use_devicesfile=0")


class Lvm:
    """The volumes of one build.

    Args:
        stack: what is made is taken down when it closes.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bound = ExitStack()
        self._devices: list[str] = []

    def physical_volume(self, node: PhysicalVolume, device: str) -> None:
        """Make `device` a physical volume."""
        self._devices.append(device)
        self._run("pvcreate", *node.options, device)

    def volume_group(self, node: VolumeGroup, devices: Sequence[str]) -> None:
        """Make a volume group of `devices`."""
        self._stack.callback(self._deactivate, node.name)
        self._bound = self._stack.enter_context(ExitStack())  # up to that moment
        self._run("vgcreate", *node.options, node.name, *devices)

    def logical_volume(self, node: LogicalVolume) -> str:
        """Make a logical volume, and give its device."""
        self._run(*lvcreate_command(node))
        return volume_device(node)

    def finished(self) -> None:
        """All volumes are made: from now on the kernel takes them down when we are killed. Not before, since
        lvcreate puts away and takes up again what a thin pool consists of."""
        self._bound.enter_context(bound_to_us(*self._devices))

    def _deactivate(self, group: str) -> None:
        self._run("vgchange", "-an", group)

    def _run(self, command: str, *words: str) -> None:
        devices = ",".join(f'"a|^{device}$|"' for device in self._devices)
        config = f"{CONFIGURATION} devices/filter=[{devices},\"r|.*|\"]"
        run(command, "--yes", "--config", config, *words, env={**os.environ, **NO_UDEV})


def lvcreate_command(node: LogicalVolume) -> tuple[str, ...]:
    """The words of lvcreate(8) for `node`.

    >>> lvcreate_command(LogicalVolume(name="lv", base="vg", extents="20%VG"))
    ('lvcreate', '--name', 'lv', '-l', '20%VG', 'vg')
    """
    kind = () if node.kind == "linear" else ("--type", node.kind)
    pool = ("--thin-pool", node.thin_pool) if node.thin_pool else ()
    by_bytes = ("-V" if node.kind == "thin" else "-L", f"{node.size_bytes}B")
    size = ("-l", node.extents) if node.extents else by_bytes
    return ("lvcreate", "--name", node.name, *kind, *pool, *size, *node.options, node.base)


def volume_device(node: LogicalVolume) -> str:
    """The device of a logical volume: device-mapper doubles hyphens in names."""
    group, name = node.base.replace("-", "--"), node.name.replace("-", "--")
    return f"/dev/mapper/{group}-{name}"
