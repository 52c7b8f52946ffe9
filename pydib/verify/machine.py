"""What this machine can do for pydib, what is missing, and the command that installs it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydib import paths
from pydib.errors import CommandFailed, ToolMissing
from pydib.host import sandbox
from pydib.host.command import PACKAGES, find_tool, run
from pydib.host.machine import memory_bytes, user_name
from pydib.host.namespace import MAPPED
from pydib.sizes import GIB, human_size
from pydib.verify.boot import efi_firmware
from pydib.verify.disk import import_guestfs
from pydib.verify.kvm import DEVICE as KVM_DEVICE
from pydib.verify.kvm import kvm_answer, stock_kernel

OLDEST_PYTHON = (3, 11)
ENOUGH_MEMORY_BYTES = 2 * GIB
ENOUGH_SPACE_BYTES = 5 * GIB


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    `needed_for` says who misses it, `remedy` what to do, usually a command. `required` tells apart what every build
    needs from what only some need.
    """

    name: str
    ok: bool
    detail: str
    needed_for: str
    remedy: str = ""
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class _Tool:
    """Programs of which one is enough."""

    programs: tuple[str, ...]
    needed_for: str
    required: bool = False
    package: str = ""
    remedy: str = ""


TOOLS = (
    _Tool(programs=("qemu-img",), needed_for="every image format but raw", required=True),
    _Tool(programs=("sfdisk",), needed_for="partition tables", required=True),
    _Tool(programs=("losetup",), needed_for="loop devices", required=True),
    _Tool(programs=("unshare",), needed_for="the build's namespaces", required=True),
    _Tool(programs=("setpriv",), needed_for="ending a build with its starter", required=True, package="util-linux"),
    _Tool(programs=("mkfs.ext4",), needed_for="ext4, the default filesystem", required=True),
    _Tool(programs=("mmdebstrap", "debootstrap"), needed_for="Debian and Ubuntu elements", required=True),
    _Tool(programs=("kpartx", "partx"), needed_for="mapping partitions"),
    _Tool(programs=("mkfs.xfs",), needed_for="xfs"),
    _Tool(programs=("mkfs.btrfs",), needed_for="btrfs"),
    _Tool(programs=("linux.uml",), needed_for="xfs and btrfs without a block device"),
    _Tool(programs=("mkfs.vfat",), needed_for="EFI system partitions, config drives"),
    _Tool(programs=("mcopy",), needed_for="files on vfat without mounting it", package="mtools"),
    _Tool(programs=("sgdisk",), needed_for="GPT details", package="gdisk"),
    _Tool(programs=("mksquashfs",), needed_for="-t squashfs"),
    _Tool(programs=("zstd",), needed_for="-t tar.zst", package="zstd"),
    _Tool(programs=("lvcreate",), needed_for="LVM"),
    _Tool(programs=("newuidmap",), needed_for="builds without root", package="uidmap"),
    _Tool(programs=("qemu-system-x86_64",), needed_for="pydib boot"),
    _Tool(programs=("vhd-util",), needed_for="-t vhd (XenServer)",
          remedy="build it from the sources of blktap: no distribution packages it"),
    _Tool(programs=("git",), needed_for="source-repositories", package="git"),
)


def examine(environment: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Everything that `pydib doctor` looks at, in the order in which it shows it. Never raises.

    Args:
        environment: the caller's, by default ours; it says where temporary files and caches go.
    """
    given = os.environ if environment is None else environment
    return (python_version(), *map(tool, TOOLS), *_kernel_features(), *_virtual_machines(given), *_room(given))


def python_version() -> Finding:
    """Python itself."""
    version = platform.python_version()
    return Finding(name="python", ok=sys.version_info >= OLDEST_PYTHON, detail=version, required=True,
                   needed_for="pydib", remedy=f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or later")


def tool(wanted: _Tool) -> Finding:
    """Whether one of the programs is there."""
    found = next(filter(None, map(find_tool, wanted.programs)), None)
    package = wanted.package or PACKAGES.get(wanted.programs[0], wanted.programs[0])
    remedy = wanted.remedy or f"apt-get install {package}"
    return Finding(name=" or ".join(wanted.programs), ok=found is not None, detail=found or "not installed",
                   needed_for=wanted.needed_for, required=wanted.required, remedy=remedy)


def _kernel_features() -> Iterator[Finding]:
    yield loop_devices()
    yield device_mapper()
    yield filesystem("overlay", needed_for="layers")
    yield filesystem("vfat", needed_for="EFI images in device mode; tree mode does without")
    yield namespaces()


def loop_devices(control: Path = Path("/dev/loop-control")) -> Finding:
    """Loop devices, which device mode needs."""
    allowed = os.access(control, os.R_OK | os.W_OK)
    detail = "can be attached" if allowed else "exist, but only root may attach one" if control.exists() else "none"
    remedy = "build as root" if control.exists() else "modprobe loop, as root"
    return Finding(name="loop devices", ok=allowed, detail=detail, needed_for="disk images in device mode",
                   remedy=remedy)


def device_mapper(misc: Path = Path("/proc/misc")) -> Finding:
    """Device-mapper. kpartx can be replaced, LVM cannot. Its device node may exist where the kernel lacks it."""
    there = "device-mapper" in misc.read_text().split()
    loadable = not there and _can_be_loaded("dm-mod")
    detail = "there" if there else "a module that can be loaded" if loadable else "unknown to the kernel"
    return Finding(name="device-mapper", ok=there or loadable, detail=detail, needed_for="LVM",
                   remedy="a kernel that has dm-mod")


def filesystem(name: str, *, needed_for: str, known: Path = Path("/proc/filesystems")) -> Finding:
    """Whether the kernel can mount filesystems of that kind."""
    if name in known.read_text().split():
        return Finding(name=name, ok=True, detail="known to the kernel", needed_for=needed_for)
    loadable = _can_be_loaded(name)
    return Finding(name=name, ok=loadable, needed_for=needed_for, remedy=f"a kernel that has {name}",
                   detail="a module that can be loaded" if loadable else "unknown to the kernel")


def namespaces() -> Finding:
    """Whether the build's namespaces can be entered; for an ordinary user that takes a user namespace, and ids."""
    facts = sandbox.facts()
    user = () if facts.root else MAPPED
    why = _failure("unshare", *user, "--mount", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "true")
    found = sandbox.obstacles(facts) if why else sandbox.missing_ids(facts)
    if not why and not found:
        return Finding(name="namespaces", ok=True, detail=f"can be entered by {facts.user}", required=True,
                       needed_for="every build")
    remedies = dict.fromkeys(obstacle.remedy for obstacle in found)
    return Finding(name="namespaces", ok=False, detail="; ".join(filter(None, [why, *(one.what for one in found)])),
                   required=True, needed_for="every build",
                   remedy="; ".join(remedies) or "build as root; in a container, give it the right to make namespaces")


def _virtual_machines(environment: Mapping[str, str]) -> Iterator[Finding]:
    answer = kvm_answer(environment)
    yield Finding(name="kvm", ok=answer.usable, detail=answer.reason, needed_for="fast pydib boot and inspect",
                  remedy=_kvm_remedy())
    yield _asked("efi firmware", efi_firmware, needed_for="pydib boot --firmware efi")
    yield _asked("guestfs", import_guestfs, needed_for="pydib inspect")
    kernel = stock_kernel()
    yield Finding(name="kernel in /boot", ok=kernel is not None, detail=str(kernel) if kernel else "none is readable",
                  needed_for="pydib inspect",
                  remedy="apt-get install linux-image-amd64; where it is private: chmod 0644 /boot/vmlinuz-*")


def _kvm_remedy() -> str:
    if KVM_DEVICE.exists() and not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return f"adduser {user_name()} kvm, as root, and log in anew"
    return "nothing, if it must be this machine: emulation does the same, slower"


def _asked(name: str, question: Callable[[], object], *, needed_for: str) -> Finding:
    try:
        question()
    except ToolMissing as missing:
        return Finding(name=name, ok=False, detail=missing.what, needed_for=needed_for, remedy=missing.hint)
    return Finding(name=name, ok=True, detail="there", needed_for=needed_for)


def _room(environment: Mapping[str, str]) -> Iterator[Finding]:
    memory = memory_bytes()
    yield Finding(name="memory", ok=memory >= ENOUGH_MEMORY_BYTES, detail=human_size(memory),
                  needed_for="builds in memory, pydib boot", remedy="at least 2 GiB")
    yield space("temporary space", paths.temporary(environment), remedy="free some, or set TMPDIR to another place")
    yield space("cache space", paths.image_cache(environment), remedy="free some, or set DIB_IMAGE_CACHE")


def space(name: str, folder: Path, *, remedy: str) -> Finding:
    """The free space at `folder`, or where it will be made."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK)
    detail = f"{human_size(free)} free in {folder}" + ("" if writable else ", which this user may not write to")
    return Finding(name=name, ok=writable and free >= ENOUGH_SPACE_BYTES, detail=detail,
                   needed_for="every build (5 GiB)", remedy=remedy)


def _can_be_loaded(module: str) -> bool:
    return find_tool("modprobe") is not None and not _failure("modprobe", "--dry-run", "--quiet", module)


def _failure(*argv: str) -> str:
    """Why a program failed, or nothing."""
    try:
        run(*argv)
    except ToolMissing as missing:
        return missing.what
    except CommandFailed as failed:
        return (failed.output.strip().splitlines() or [f"exit code {failed.code}"])[-1]
    return ""
