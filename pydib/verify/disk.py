"""Looking into a disk image through libguestfs: no mount here, no root, and the image cannot be changed.

The only module that imports `guestfs`. The binding comes with the distribution; a virtual environment does not see
it, so it is also looked for where the distribution keeps it. Calls are described in guestfs(3).
"""

from __future__ import annotations

import errno
import importlib.machinery
import importlib.util
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydib.errors import EngineError, InputError, ToolMissing
from pydib.verify.image_file import ImageFile, image_file
from pydib.verify.inspection import (
    GPT_TYPES,
    MBR_TYPES,
    BootLoader,
    Filesystem,
    FstabEntry,
    Inspection,
    KernelFile,
    OperatingSystem,
    Package,
    Partition,
    bios_boot_loader,
    efi_boot_loader,
    gpt_flags,
    kernels_among,
    mbr_flags,
    parse_fstab,
    parse_os_release,
)
from pydib.verify.kvm import kvm_answer, stock_kernel

DISTRIBUTION_MODULES = (Path("/usr/lib/python3/dist-packages"), Path("/usr/lib64/python3/site-packages"))
DISK = "/dev/sda"
_LARGEST_FILE_BYTES = 4_000_000
Guest = Any
"""A `guestfs.GuestFS`: the binding has no types."""


def inspect(image: Path) -> Inspection:
    """What is in the disk image `image`. Takes a few seconds with KVM, about half a minute without.

    Raises:
        InputError: it is not a disk image, or there is neither a partition table nor a filesystem in it.
        ToolMissing: libguestfs, its Python binding, or a kernel for it is not there.
        EngineError: libguestfs failed.
    """
    file = image_file(image)
    guestfs = import_guestfs()
    with _launched(guestfs, file) as guest:
        return _Look(guest, file).inspection()


def write_tar(image: Path, tar: Path) -> None:
    """Write everything in the system in the disk image `image` to the file `tar`, with numbers of owners and extended
    attributes. Needs no root. Raises what `opened` does."""
    with opened(image) as tree:
        tree.write_tar(tar)


@contextmanager
def opened(image: Path) -> Iterator[Tree]:
    """The files of the system in the disk image `image`, for as long as the block lasts. Needs no root.

    Raises:
        InputError: it is not a disk image, or there is no filesystem in it.
        ToolMissing: libguestfs, its Python binding, or a kernel for it is not there.
        EngineError: libguestfs failed.
    """
    file = image_file(image)
    guestfs = import_guestfs()
    with _launched(guestfs, file) as guest:
        root = next(iter(guest.inspect_os()), "")
        if root:
            _mount_all(guest, guest.inspect_get_mountpoints(root))
        else:
            found = [device for device, kind in guest.list_filesystems().items() if kind not in ("unknown", "swap")]
            if not found:
                raise InputError("there is no filesystem in this file", where=str(image),
                                 hint="look whether it is a disk image at all")
            guest.mount_ro(max(found, key=guest.blockdev_getsize64), "/")
        yield Tree(guest, root)


@dataclass(frozen=True, kw_only=True)
class Status:
    """What stat(2) says about a file in an image: its whole mode, numbers of user and group, and its size in bytes."""

    mode: int
    user: int
    group: int
    size: int


class Tree:
    """Files of a system in an image, by absolute path. Links in it lead nowhere else."""

    def __init__(self, guest: Guest, root: str) -> None:
        self._guest = guest
        self._root = root

    def status(self, path: str, *, follow: bool = True) -> Status | None:
        """What `path` is, or None when there is nothing."""
        try:
            found = self._guest.statns(path) if follow else self._guest.lstatns(path)
        except RuntimeError:
            return None
        return Status(mode=found["st_mode"], user=found["st_uid"], group=found["st_gid"], size=found["st_size"])

    def read(self, path: str) -> bytes:
        """A file's bytes.

        Raises:
            FileNotFoundError: there is no such file.
        """
        found = self.status(path)
        if found is None or not stat.S_ISREG(found.mode):
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the image", path)
        parts = [self._guest.pread(path, _LARGEST_FILE_BYTES, offset)
                 for offset in range(0, found.size, _LARGEST_FILE_BYTES)]
        return b"".join(parts)

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none if there is no such folder."""
        return list(self._guest.ls(path)) if self._guest.is_dir(path, followsymlinks=True) else []

    def link(self, path: str) -> str | None:
        """Where the symbolic link `path` points, or None when it is no link."""
        found = self.status(path, follow=False)
        return str(self._guest.readlink(path)) if found and stat.S_ISLNK(found.mode) else None

    def find(self, folder: str) -> list[str]:
        """All paths below a folder, sorted."""
        top = folder.rstrip("/")
        if not self._guest.is_dir(folder, followsymlinks=True):
            return []
        return sorted(f"{top}/{name.lstrip('/')}" for name in self._guest.find(folder))

    def write_tar(self, tar: Path) -> None:
        """All files, as `write_tar` above."""
        self._guest.tar_out("/", str(tar), numericowner=True, xattrs=True)

    def packages(self) -> tuple[Package, ...]:
        """Packages that are installed, by name."""
        return _packages(self._guest, self._root) if self._root else ()


def import_guestfs() -> Any:
    """The distribution's module `guestfs`.

    Raises:
        ToolMissing: it is not installed, or made for another version of Python.
    """
    try:
        import guestfs
    except ImportError:
        guestfs = _from_distribution()
    if not hasattr(guestfs, "GuestFS"):
        raise _binding_missing("another package of this name is installed, which is not libguestfs's")
    return guestfs


def _from_distribution() -> Any:
    """`guestfs` from the distribution's folder, and nothing else from there."""
    folders = [str(folder) for folder in DISTRIBUTION_MODULES]
    loaded = [name for name in ("libguestfsmod", "guestfs") if _load(name, folders)]
    if len(loaded) < 2:
        raise _binding_missing(f"Python {sys.version_info.major}.{sys.version_info.minor} finds no module guestfs")
    return sys.modules["guestfs"]


def _load(name: str, folders: list[str]) -> bool:
    spec = importlib.machinery.PathFinder.find_spec(name, folders)
    if spec is None or spec.loader is None:
        return False
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ImportError:
        del sys.modules[name]
        return False
    return True


def _binding_missing(detail: str) -> ToolMissing:
    return ToolMissing(
        f"libguestfs's Python binding cannot be used: {detail}",
        hint="install it from the distribution, never from PyPI: apt-get install python3-guestfs linux-image-amd64; "
             "it works for the distribution's own version of Python (/usr/bin/python3)",
    )


@contextmanager
def _launched(guestfs: Any, file: ImageFile) -> Iterator[Guest]:
    """libguestfs's small virtual machine, with the image as its only disk, read-only."""
    if stock_kernel() is None:
        raise ToolMissing("libguestfs needs a kernel in /boot that this user may read",
                          hint="apt-get install linux-image-amd64; where kernels are private, as on Ubuntu: "
                               "chmod 0644 /boot/vmlinuz-*")
    guest = guestfs.GuestFS(python_return_dict=True)
    try:
        guest.set_backend("direct")
        if not kvm_answer(os.environ).usable:
            guest.set_backend_settings(["force_tcg"])
        guest.add_drive_opts(str(file.path), format=file.format, readonly=True)
        guest.launch()
        yield guest
    except RuntimeError as error:
        raise EngineError(f"libguestfs failed: {_first_line(error)}", where=str(file.path),
                          hint="libguestfs-test-tool shows in detail whether libguestfs works here") from None
    finally:
        guest.close()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Look:
    """One look into one image."""

    def __init__(self, guest: Guest, file: ImageFile) -> None:
        self._guest = guest
        self._file = file

    def inspection(self) -> Inspection:
        table = self._partition_table()
        partitions = self._partitions(table)
        listed = {device: kind for device, kind in self._guest.list_filesystems().items() if kind != "unknown"}
        if table == "none" and not listed:
            raise InputError("there is neither a partition table nor a filesystem in this file",
                             where=str(self._file.path), hint="look whether it is a disk image at all")
        loaders = [*self._bios_loaders(partitions), *self._efi_loaders(listed)]
        root = next(iter(self._guest.inspect_os()), None)
        mounts = self._mount(root) if root else {}
        return Inspection(
            image=str(self._file.path), format=self._file.format, virtual_size=self._file.virtual_size,
            disk_size=self._file.disk_size, partition_table=table, partitions=partitions,
            filesystems=tuple(self._filesystem(device, kind, mounts) for device, kind in sorted(listed.items())),
            fstab=self._fstab() if root else (),
            operating_system=self._operating_system(root) if root else None,
            boot_loaders=tuple(loaders),
            kernels=self._kernels() if root else (),
            packages=self._packages(root) if root else (),
        )

    def _partition_table(self) -> str:
        try:
            kind = str(self._guest.part_get_parttype(DISK))
        except RuntimeError:
            return "none"  # libguestfs has no other way to say so
        return {"msdos": "mbr", "loop": "none"}.get(kind, kind)

    def _partitions(self, table: str) -> tuple[Partition, ...]:
        if table == "none":
            return ()
        return tuple(self._partition(table, found) for found in self._guest.part_list(DISK))

    def _partition(self, table: str, found: dict[str, int]) -> Partition:
        number, start, size = found["part_num"], found["part_start"], found["part_size"]
        device = f"{DISK}{number}"
        if table != "gpt":
            kind = self._guest.part_get_mbr_id(DISK, number)
            return Partition(number=number, device=device, start=start, size=size, type=f"0x{kind:02x}",
                             type_name=MBR_TYPES.get(kind, "other"),
                             flags=mbr_flags(self._guest.pread_device(DISK, 512, 0), number))
        guid = self._guest.part_get_gpt_type(DISK, number).upper()
        return Partition(number=number, device=device, start=start, size=size, type=guid,
                         type_name=GPT_TYPES.get(guid, "other"),
                         flags=gpt_flags(self._guest.part_get_gpt_attributes(DISK, number)),
                         name=self._guest.part_get_name(DISK, number),
                         uuid=self._guest.part_get_gpt_guid(DISK, number))

    def _filesystem(self, device: str, kind: str, mounts: dict[str, str]) -> Filesystem:
        places = [place for place, source in mounts.items() if self._guest.canonical_device_name(source) == device]
        return Filesystem(device=device, type=kind, label=self._guest.vfs_label(device),
                          uuid=self._guest.vfs_uuid(device), size=self._device_size(device),
                          mount_point=min(places, key=len, default=""))

    def _device_size(self, device: str) -> int:
        # a btrfs subvolume is listed as btrfsvol:/dev/sda1/name and has no size of its own
        return int(self._guest.blockdev_getsize64(device)) if device.startswith("/dev/") else 0

    def _bios_loaders(self, partitions: Sequence[Partition]) -> list[BootLoader]:
        devices = [DISK, *(partition.device for partition in partitions if partition.type_name != "extended")]
        found = (bios_boot_loader(self._guest.pread_device(device, 512, 0), device) for device in devices)
        return [loader for loader in found if loader]

    def _efi_loaders(self, filesystems: dict[str, str]) -> list[BootLoader]:
        return [loader for device, kind in sorted(filesystems.items()) if kind == "vfat"
                for loader in self._efi_loaders_on(device)]

    def _efi_loaders_on(self, device: str) -> list[BootLoader]:
        try:
            self._guest.mount_ro(device, "/")
        except RuntimeError:
            return []  # a broken filesystem boots nothing
        try:
            programs = sorted(f"/{name}" for name in self._guest.find("/") if name.lower().endswith(".efi"))
            return [efi_boot_loader(program, self._start_of(program)) for program in programs]
        finally:
            self._guest.umount_all()

    def _start_of(self, path: str) -> bytes:
        content: bytes = self._guest.pread(path, _LARGEST_FILE_BYTES, 0)
        return content

    def _mount(self, root: str) -> dict[str, str]:
        """Mount the system's filesystems inside libguestfs's machine; gives mount point and device of each."""
        wanted: dict[str, str] = self._guest.inspect_get_mountpoints(root)
        _mount_all(self._guest, wanted)
        return wanted

    def _text(self, path: str) -> str:
        if not self._guest.is_file(path, followsymlinks=True):
            return ""
        return self._start_of(path).decode("utf-8", "replace")

    def _names_in(self, path: str) -> list[str]:
        return list(self._guest.ls(path)) if self._guest.is_dir(path, followsymlinks=True) else []

    def _fstab(self) -> tuple[FstabEntry, ...]:
        return parse_fstab(self._text("/etc/fstab"))

    def _operating_system(self, root: str) -> OperatingSystem:
        guest = self._guest
        release = parse_os_release(self._text("/etc/os-release"))
        numbers = f"{guest.inspect_get_major_version(root)}.{guest.inspect_get_minor_version(root)}"
        return OperatingSystem(
            id=release.get("ID") or guest.inspect_get_distro(root), version=release.get("VERSION_ID") or numbers,
            codename=release.get("VERSION_CODENAME", ""),
            name=release.get("PRETTY_NAME") or guest.inspect_get_product_name(root),
            arch=guest.inspect_get_arch(root), hostname=_known(guest.inspect_get_hostname(root)),
            package_format=_known(guest.inspect_get_package_format(root)),
        )

    def _kernels(self) -> tuple[KernelFile, ...]:
        return kernels_among(self._names_in("/boot"), self._names_in("/lib/modules"))

    def _packages(self, root: str) -> tuple[Package, ...]:
        return _packages(self._guest, root)


def _mount_all(guest: Guest, wanted: dict[str, str]) -> None:
    """Mount filesystems, outermost first; but for the root's, broken ones are passed over."""
    for place in sorted(wanted, key=len):
        try:
            guest.mount_ro(wanted[place], place)
        except RuntimeError:
            if place == "/":
                raise


def _packages(guest: Guest, root: str) -> tuple[Package, ...]:
    installed = guest.inspect_list_applications2(root)
    return tuple(sorted((_package(application) for application in installed), key=lambda found: found.name))


def _known(text: str) -> str:
    return "" if text == "unknown" else text


def _package(application: dict[str, Any]) -> Package:
    """libguestfs splits a version into its parts; put it together again as the packagers write it."""
    epoch, release = application["app2_epoch"], application["app2_release"]
    version = f"{epoch}:" if epoch else ""
    version += application["app2_version"] + (f"-{release}" if release else "")
    return Package(name=application["app2_name"], version=version, arch=application["app2_arch"])
