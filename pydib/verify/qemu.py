"""The command line of a virtual machine. Pure: a `Machine` in, words out. See qemu-system(1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Accelerator = Literal["kvm", "tcg"]

PROGRAM = "qemu-system-x86_64"


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A disk of the machine, or with `cd` one in its drive. With `snapshot` what is written is forgotten at the end."""

    path: Path
    format: str
    snapshot: bool = True
    sector_bytes: int = 512
    cd: bool = False


@dataclass(frozen=True, kw_only=True)
class Firmware:
    """EFI firmware: its code, and the variables that a fresh machine begins with."""

    code: Path
    variables: Path


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel that QEMU loads itself, without a boot loader."""

    path: Path
    initrd: Path | None = None
    command_line: str = ""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """A TCP port of this machine's loopback address that leads to one of the guest's."""

    host_port: int
    guest_port: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A virtual machine with its first serial port on our stdout. Without `efi` it starts with a BIOS.

    Its network reaches what listens on our loopback address as 10.0.2.2.
    """

    drives: tuple[Drive, ...] = ()
    memory_mib: int = 1024
    cpus: int = 2
    accelerator: Accelerator = "tcg"
    efi: Firmware | None = None
    kernel: Kernel | None = None
    network: bool = True
    forwards: tuple[Forward, ...] = ()


def qemu_argv(machine: Machine, *, program: str = PROGRAM) -> tuple[str, ...]:
    """The words that start `machine`.

    There is a display adapter, since some boot loaders want one, but nobody looks at it; `graphics=off` has the BIOS
    write to the serial port too, and with it a boot loader that knows no serial port. The machine reads nothing from
    us, so no key that is pressed by chance gets into it. A machine that wants to start again ends instead.
    """
    return (
        program, "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-vga", "std", "-monitor", "none", "-serial", "stdio",
        *_processor(machine),
        "-m", str(machine.memory_mib), "-smp", str(machine.cpus),
        "-device", "virtio-rng-pci",
        *_network(machine.network, machine.forwards),
        *_firmware(machine.efi),
        *(word for number, drive in enumerate(machine.drives)
          for word in _drive(number, drive, starts=machine.kernel is None)),
        *_kernel(machine.kernel),
    )


def _processor(machine: Machine) -> tuple[str, ...]:
    """Everything the accelerator can do: some distributions need more than QEMU's default processor has.

    Under emulation without five-level page tables, which would only cost time.
    """
    kind = "q35" if machine.efi else "pc,graphics=off"
    if machine.accelerator == "kvm":
        return ("-machine", kind, "-accel", "kvm", "-cpu", "host")
    return ("-machine", kind, "-accel", "tcg,thread=multi", "-cpu", "max,la57=off")


def _firmware(efi: Firmware | None) -> tuple[str, ...]:
    if efi is None:
        return ()
    return ("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_escaped(efi.code)}",
            "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={_escaped(efi.variables)}")


def _network(wanted: bool, forwards: tuple[Forward, ...]) -> tuple[str, ...]:
    """A network card behind QEMU's own DHCP server, without the ROM that would look for something to boot there."""
    if not wanted:
        return ("-nic", "none")
    rules = "".join(f",hostfwd=tcp:127.0.0.1:{rule.host_port}-:{rule.guest_port}" for rule in forwards)
    return ("-netdev", f"user,id=net0{rules}", "-device", "virtio-net-pci,netdev=net0,romfile=")


def _drive(number: int, drive: Drive, *, starts: bool) -> tuple[str, ...]:
    """A disk. The firmware tries those that have a number, in their order, and nothing else. Without `starts` they have
    none: a kernel that QEMU loads is the first thing tried, and needs the number.
    """
    order = f",bootindex={number}" if starts else ""
    device = "ide-cd" if drive.cd else "virtio-blk-pci"
    keeps = "on" if drive.snapshot else "off"
    size = drive.sector_bytes
    sectors = "" if size == 512 or drive.cd else f",logical_block_size={size},physical_block_size={size}"
    return ("-drive", f"if=none,id=disk{number},format={drive.format},snapshot={keeps},cache=unsafe,discard=unmap,"
                      f"file={_escaped(drive.path)}",
            "-device", f"{device},drive=disk{number}{order}{sectors}")


def _kernel(kernel: Kernel | None) -> tuple[str, ...]:
    if kernel is None:
        return ()
    initrd = ("-initrd", str(kernel.initrd)) if kernel.initrd else ()
    return ("-kernel", str(kernel.path), *initrd, "-append", kernel.command_line)


def _escaped(path: Path) -> str:
    """A path inside a comma-separated option."""
    return str(path).replace(",", ",,")
