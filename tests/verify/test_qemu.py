"""The command line of a virtual machine."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from pydib.verify.qemu import Drive, Firmware, Forward, Kernel, Machine, qemu_argv

DISK = Drive(path=Path("/images/debian.qcow2"), format="qcow2")


def options(machine: Machine) -> list[tuple[str, str]]:
    """Options with the word after them."""
    return list(pairwise(qemu_argv(machine)))


def test_the_image_is_opened_as_a_snapshot_of_its_known_format() -> None:
    drive = next(value for option, value in options(Machine(drives=(DISK,))) if option == "-drive")
    assert "file=/images/debian.qcow2" in drive
    assert "format=qcow2" in drive
    assert "snapshot=on" in drive


def test_emulation_and_kvm() -> None:
    emulated, fast = options(Machine()), options(Machine(accelerator="kvm"))
    assert ("-accel", "tcg,thread=multi") in emulated
    assert ("-cpu", "max,la57=off") in emulated
    assert ("-accel", "kvm") in fast
    assert ("-cpu", "host") in fast


def test_memory_and_processors() -> None:
    found = options(Machine(memory_mib=3000, cpus=3))
    assert ("-m", "3000") in found
    assert ("-smp", "3") in found


def test_the_console_is_on_stdout_and_nothing_else_is() -> None:
    found = options(Machine())
    assert {("-serial", "stdio"), ("-monitor", "none"), ("-display", "none")} <= set(found)


def test_efi_has_code_that_stays_and_variables_that_are_forgotten() -> None:
    found = options(Machine(efi=Firmware(code=Path("/fw/code.fd"), variables=Path("/fw/vars.fd"))))
    drives = [value for option, value in found if option == "-drive"]
    assert drives == ["if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd",
                      "if=pflash,unit=1,format=raw,snapshot=on,file=/fw/vars.fd"]
    assert ("-machine", "q35") in found


def test_a_comma_in_a_path_stays_part_of_it() -> None:
    found = options(Machine(drives=(Drive(path=Path("/a,readonly=on/b.raw"), format="raw"),)))
    assert any(value.endswith("file=/a,,readonly=on/b.raw") for option, value in found if option == "-drive")


def test_disks_start_in_their_order() -> None:
    found = options(Machine(drives=(DISK, Drive(path=Path("/data.raw"), format="raw", snapshot=False))))
    devices = [value for option, value in found if option == "-device" and "blk" in value]
    assert devices == ["virtio-blk-pci,drive=disk0,bootindex=0", "virtio-blk-pci,drive=disk1,bootindex=1"]
    assert any("snapshot=off" in value and "/data.raw" in value for _, value in found)


def test_a_cd_lies_in_its_drive() -> None:
    words = qemu_argv(Machine(drives=(Drive(path=Path("a.iso"), format="raw", cd=True),)))
    assert "ide-cd,drive=disk0,bootindex=0" in words


def test_a_kernel_of_its_own() -> None:
    kernel = Kernel(path=Path("/boot/vmlinuz"), initrd=Path("/i.cpio"), command_line="console=ttyS0 quiet")
    found = options(Machine(kernel=kernel))
    assert {("-kernel", "/boot/vmlinuz"), ("-initrd", "/i.cpio"), ("-append", "console=ttyS0 quiet")} <= set(found)


def test_without_network_there_is_no_card() -> None:
    argv = qemu_argv(Machine(network=False))
    assert ("-nic", "none") in list(pairwise(argv))
    assert "-netdev" not in argv


def test_ports_are_forwarded_from_the_loopback_address() -> None:
    rules = (Forward(host_port=7000, guest_port=6379), Forward(host_port=7001, guest_port=22))
    found = options(Machine(forwards=rules))
    assert ("-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:7000-:6379,hostfwd=tcp:127.0.0.1:7001-:22") in found


def test_a_disk_with_large_sectors() -> None:
    found = options(Machine(drives=(Drive(path=Path("/d.raw"), format="raw", sector_bytes=4096),)))
    assert any(value.endswith(",logical_block_size=4096,physical_block_size=4096") for _, value in found)


def test_a_kernel_that_is_loaded_goes_before_the_disks() -> None:
    found = options(Machine(drives=(DISK,), kernel=Kernel(path=Path("/k"))))
    assert [value for option, value in found if option == "-device" and "blk" in value] == [
        "virtio-blk-pci,drive=disk0"]
