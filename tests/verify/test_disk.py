"""Looking into images: against a stand-in for libguestfs, and once with the real one."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pydib.errors import EngineError, InputError, ToolMissing
from pydib.host.command import find_tool
from pydib.verify import difference, disk, kvm, listing
from pydib.verify.inspection import BootLoader, Inspection, Package

MIB = 1 << 20
pytestmark = pytest.mark.skipif(find_tool("qemu-img") is None, reason="qemu-img is not installed")


class FakeGuest:
    """Answers as libguestfs does, about one MBR disk with one ext4 filesystem; `files` are those of its system."""

    def __init__(self, **_: object) -> None:
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.system = True
        self.table = "msdos"
        self.found = {"/dev/sda1": "ext4"}

    def part_get_parttype(self, device: str) -> str:
        if not self.table:
            raise RuntimeError("parted: unrecognised disk label")
        return self.table

    def part_list(self, device: str) -> list[dict[str, int]]:
        return [{"part_num": 1, "part_start": MIB, "part_end": 9 * MIB - 1, "part_size": 8 * MIB}]

    def part_get_mbr_id(self, device: str, number: int) -> int:
        return 0x83

    def list_filesystems(self) -> dict[str, str]:
        return {**self.found, "/dev/sda9": "unknown"}

    def pread_device(self, device: str, count: int, offset: int) -> bytes:
        content = {"/dev/sda": bytes(0x180) + b"GRUB ".ljust(62, b"\0") + b"\x80"}.get(device, b"")
        return content.ljust(count, b"\0")

    def inspect_os(self) -> list[str]:
        return ["/dev/sda1"] if self.system else []

    def inspect_get_mountpoints(self, root: str) -> dict[str, str]:
        return {"/broken": "/dev/sdz", "/": "/dev/sda1"}

    def mount_ro(self, device: str, place: str) -> None:
        self.calls.append(f"mount {device} {place}")
        if device == "/dev/sdz":
            raise RuntimeError("no such device")

    def is_file(self, path: str, followsymlinks: bool = False) -> bool:
        return path in self.files

    def is_dir(self, path: str, followsymlinks: bool = False) -> bool:
        return any(name.startswith(path + "/") for name in self.files)

    def ls(self, path: str) -> list[str]:
        return sorted({name[len(path) + 1:].split("/")[0] for name in self.files if name.startswith(path + "/")})

    def pread(self, path: str, count: int, offset: int) -> bytes:
        return self.files[path][offset:offset + count]

    def canonical_device_name(self, device: str) -> str:
        return device

    def blockdev_getsize64(self, device: str) -> int:
        return 8 * MIB

    def vfs_label(self, device: str) -> str:
        return "root"

    def vfs_uuid(self, device: str) -> str:
        return "1234"

    def inspect_list_applications2(self, root: str) -> list[dict[str, Any]]:
        return [{"app2_name": "vim", "app2_epoch": 2, "app2_version": "9.0", "app2_release": "1+b1",
                 "app2_arch": "amd64"},
                {"app2_name": "adduser", "app2_epoch": 0, "app2_version": "3.134", "app2_release": "",
                 "app2_arch": "all"}]

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {"inspect_get_major_version": 12, "inspect_get_minor_version": 5}
        if name.startswith("inspect_get_"):
            return lambda root: answers.get(name, "unknown")
        raise AttributeError(name)


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> FakeGuest:
    """The guest that `inspect` gets."""
    fake = FakeGuest()

    @contextmanager
    def launched(guestfs: object, file: object) -> Iterator[FakeGuest]:
        yield fake

    monkeypatch.setattr(disk, "_launched", launched)
    monkeypatch.setattr(disk, "import_guestfs", lambda: None)
    return fake


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Some file that could be a disk."""
    (tmp_path / "disk.raw").write_bytes(bytes(MIB))
    return tmp_path / "disk.raw"


def test_a_disk_with_a_system(guest: FakeGuest, image: Path) -> None:
    guest.files = {
        "/etc/fstab": b"LABEL=root / ext4 defaults 0 1\n", "/boot/vmlinuz-6.1": b"",
        "/lib/modules/6.1/modules.dep": b"",
        "/etc/os-release": b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n'}
    found = disk.inspect(image)
    system = found.operating_system
    assert system is not None
    assert (system.id, system.version, system.codename, system.name, system.hostname) == (
        "debian", "12", "bookworm", "Debian 12", "")
    assert [(kernel.version, kernel.has_modules) for kernel in found.kernels] == [("6.1", True)]
    assert found.packages == (Package(name="adduser", version="3.134", arch="all"),
                              Package(name="vim", version="2:9.0-1+b1", arch="amd64"))
    assert found.boot_loaders == (BootLoader(name="GRUB", firmware="bios", where="/dev/sda"),)
    assert [(entry.label, entry.mount_point) for entry in found.filesystems] == [("root", "/")]
    assert (found.partition_table, found.partitions[0].type) == ("mbr", "0x83")
    assert found.partitions[0].flags == ("bootable",)


def test_a_filesystem_that_cannot_be_mounted_hides_nothing_else(guest: FakeGuest, image: Path) -> None:
    assert disk.inspect(image).operating_system is not None
    assert guest.calls == ["mount /dev/sda1 /", "mount /dev/sdz /broken"]


def test_without_os_release_the_guess_of_libguestfs_counts(guest: FakeGuest, image: Path) -> None:
    system = disk.inspect(image).operating_system
    assert system is not None
    assert (system.version, system.codename) == ("12.5", "")


def test_partitions_are_told_where_there_is_no_system(guest: FakeGuest, image: Path) -> None:
    guest.system = False
    found = disk.inspect(image)
    assert (found.operating_system, found.packages, found.kernels) == (None, (), ())
    assert len(found.partitions) == len(found.filesystems) == 1
    assert found.filesystems[0].mount_point == ""


def test_a_file_with_nothing_of_a_disk_in_it(guest: FakeGuest, image: Path) -> None:
    guest.table, guest.found = "", {}
    with pytest.raises(InputError, match="neither a partition table nor a filesystem"):
        disk.inspect(image)


def test_a_filesystem_without_partitions(guest: FakeGuest, image: Path) -> None:
    guest.table, guest.found = "", {"/dev/sda": "ext4"}
    found = disk.inspect(image)
    assert (found.partition_table, found.partitions) == ("none", ())


def test_libguestfs_that_fails_to_start(monkeypatch: pytest.MonkeyPatch, image: Path) -> None:
    closed = []

    class Broken(FakeGuest):
        def launch(self) -> None:
            raise RuntimeError("guestfs_launch failed.\nThis usually means ...")

        def close(self) -> None:
            closed.append(self)

        def __getattr__(self, name: str) -> Any:
            return lambda *words, **options: None

    monkeypatch.setattr(disk, "import_guestfs", lambda: types.SimpleNamespace(GuestFS=Broken))
    monkeypatch.setattr(disk, "stock_kernel", lambda: Path("/boot/vmlinuz-1"))
    monkeypatch.setattr(disk, "kvm_answer", lambda environment: kvm.KvmAnswer(usable=False, reason=""))
    with pytest.raises(EngineError) as caught:
        disk.inspect(image)
    assert caught.value.what == "libguestfs failed: guestfs_launch failed."
    assert len(closed) == 1


def test_no_kernel_for_libguestfs(monkeypatch: pytest.MonkeyPatch, image: Path) -> None:
    monkeypatch.setattr(disk, "import_guestfs", lambda: None)
    monkeypatch.setattr(disk, "stock_kernel", lambda: None)
    with pytest.raises(ToolMissing, match="apt-get install linux-image-amd64"):
        disk.inspect(image)


@pytest.fixture
def no_guestfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that has never heard of guestfs."""
    find_spec = importlib.machinery.PathFinder.find_spec
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", lambda name, path=None, target=None: (
        None if name in ("guestfs", "libguestfsmod") and path in (None, sys.path) else find_spec(name, path, target)))
    for name in ("guestfs", "libguestfsmod"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_binding_is_missing(no_guestfs: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk, "DISTRIBUTION_MODULES", (tmp_path,))
    with pytest.raises(ToolMissing, match="apt-get install python3-guestfs") as caught:
        disk.import_guestfs()
    assert "never from PyPI" in caught.value.hint


def test_the_binding_is_taken_from_the_distribution(no_guestfs: None, monkeypatch: pytest.MonkeyPatch,
                                                    tmp_path: Path) -> None:
    (tmp_path / "libguestfsmod.py").write_text("")
    (tmp_path / "guestfs.py").write_text("import libguestfsmod\nclass GuestFS: pass\n")
    (tmp_path / "yaml.py").write_text("raise AssertionError('nothing else is taken from here')")
    monkeypatch.setattr(disk, "DISTRIBUTION_MODULES", (tmp_path,))
    assert disk.import_guestfs().GuestFS
    assert str(tmp_path) not in sys.path
    for name in ("guestfs", "libguestfsmod"):
        sys.modules.pop(name)


def test_a_binding_for_another_python(no_guestfs: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "guestfs.py").write_text("import libguestfsmod\n")
    (tmp_path / "libguestfsmod.cpython-20-none.so").write_text("")
    monkeypatch.setattr(disk, "DISTRIBUTION_MODULES", (tmp_path,))
    with pytest.raises(ToolMissing, match="finds no module guestfs"):
        disk.import_guestfs()


def test_another_package_of_that_name(no_guestfs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "guestfs", types.ModuleType("guestfs"))
    with pytest.raises(ToolMissing, match="another package of this name"):
        disk.import_guestfs()


def real_guestfs_is_missing() -> str:
    """Why libguestfs cannot be used on this machine, or nothing."""
    try:
        disk.import_guestfs()
    except ToolMissing as missing:
        return missing.what
    lacking = [name for name in ("sfdisk", "mke2fs", "mkfs.vfat", "mcopy") if find_tool(name) is None]
    return "no kernel in /boot" if kvm.stock_kernel() is None else " ".join(lacking)


@pytest.mark.boot
@pytest.mark.skipif(bool(real_guestfs_is_missing()), reason=f"libguestfs: {real_guestfs_is_missing()}")
def test_a_real_disk_in_a_real_libguestfs(tmp_path: Path) -> None:
    found = disk.inspect(gpt_disk(tmp_path))
    assert (found.format, found.virtual_size, found.partition_table) == ("raw", 64 * MIB, "gpt")
    assert [(part.number, part.start, part.type_name, part.name, part.flags) for part in found.partitions] == [
        (1, MIB, "EFI system", "ESP", ()), (2, 33 * MIB, "Linux filesystem", "root", ("legacy-boot",))]
    assert {(entry.type, entry.label) for entry in found.filesystems} == {("vfat", "MKFS_ESP"), ("ext4", "tiny-root")}
    assert found.boot_loaders == (BootLoader(name="GRUB", firmware="efi", where="/EFI/BOOT/BOOTX64.EFI",
                                             removable=True),)
    check_system(found)
    disk.write_tar(tmp_path / "disk.raw", tmp_path / "tar")
    with (tmp_path / "tar").open("rb") as stream:
        listed = listing.of_tar(stream, where="tar")
    assert difference.packages_of(listed) == {"hello": "1:2.10-3"}
    there = {path: item for path, item in listed.items.items() if path not in ("/lost+found", "/boot/efi")}
    told = difference.files(listing.of_folder(tmp_path / "tree").items, there)
    assert [one for one in told if not one.name.startswith("/boot/efi/")] == []


def check_system(found: Inspection) -> None:
    """The system that `gpt_disk` writes."""
    assert found.operating_system is not None
    assert (found.operating_system.id, found.operating_system.codename) == ("debian", "bookworm")
    assert (found.operating_system.hostname, found.operating_system.package_format) == ("tiny", "deb")
    assert [(entry.mount_point, entry.options) for entry in found.fstab] == [("/", ("ro", "noatime"))]
    assert [kernel.version for kernel in found.kernels] == ["6.1.0-1-amd64"]
    assert found.packages == (Package(name="hello", version="1:2.10-3", arch="amd64"),)


def gpt_disk(folder: Path) -> Path:
    """A disk with an EFI system partition, and a Debian that consists of a few text files."""
    image, esp, tree = folder / "disk.raw", folder / "esp.raw", folder / "tree"
    for name, content in {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Tiny Debian"\n',
        "etc/debian_version": "12.5\n", "etc/hostname": "tiny\n",
        "etc/fstab": "LABEL=tiny-root / ext4 ro,noatime 0 1\n",
        "var/lib/dpkg/status": "Package: hello\nStatus: install ok installed\nArchitecture: amd64\n"
                               "Version: 1:2.10-3\n\n",
        "boot/vmlinuz-6.1.0-1-amd64": "kernel", "bin/true": "", "usr/bin/true": "", "sbin/init": "", "lib/x": "",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    for path in (image, esp):
        path.touch()
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    subprocess.run(["truncate", "-s", "32M", esp], check=True)
    table = ("label: gpt\nstart=2048, size=65536, type=uefi, name=ESP\n"
             "size=59392, type=linux, name=root, attrs=LegacyBIOSBootable\n")
    tools = {name: find_tool(name) or name for name in ("sfdisk", "mke2fs", "mkfs.vfat", "mmd", "mcopy")}
    subprocess.run([tools["sfdisk"], "-q", image], input=table.encode(), check=True)
    subprocess.run([tools["mke2fs"], "-q", "-t", "ext4", "-L", "tiny-root", "-d", tree, "-E", f"offset={33 * MIB}",
                    image, "29M"], check=True, capture_output=True)
    subprocess.run([tools["mkfs.vfat"], "-n", "MKFS_ESP", esp], check=True, capture_output=True)
    (folder / "grub").write_bytes(b"(,gpt2)/boot/grub")
    subprocess.run([tools["mmd"], "-i", esp, "::/EFI", "::/EFI/BOOT"], check=True)
    subprocess.run([tools["mcopy"], "-i", esp, folder / "grub", "::/EFI/BOOT/BOOTX64.EFI"], check=True)
    subprocess.run(["dd", f"if={esp}", f"of={image}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none"],
                   check=True)
    return image
