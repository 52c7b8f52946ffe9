"""Booting an image in QEMU, until its serial console says what is waited for. The image is not changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydib import clock
from pydib.errors import ToolMissing
from pydib.host.command import require_tool
from pydib.host.stream import Child, streamed
from pydib.verify.console import Console
from pydib.verify.image_file import image_file
from pydib.verify.kvm import kvm_answer
from pydib.verify.qemu import PROGRAM, Accelerator, Drive, Firmware, Forward, Machine, qemu_argv

FirmwareName = Literal["bios", "efi"]

DEFAULT_TIMEOUT_SECONDS = 600.0
DEFAULT_MEMORY_MIB = 1024
DEFAULT_CPUS = 2
EFI_FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
)
"""Where distributions keep code and variables of the firmware: Debian and Ubuntu, Fedora, Arch, SUSE."""


@dataclass(frozen=True, kw_only=True)
class BootResult:
    """How a boot went.

    `reached` tells whether the expected text came, `reason` why not, as part of a sentence. `tail` holds the last
    lines of the console, `seconds` counts from QEMU's start.
    """

    reached: bool
    seconds: float
    tail: tuple[str, ...]
    accelerator: Accelerator
    reason: str = ""


def boot(image: Path, *, expect: str | None = None, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
         memory_mib: int = DEFAULT_MEMORY_MIB, cpus: int = DEFAULT_CPUS, firmware: FirmwareName = "bios",
         accelerator: Accelerator | None = None, drives: Sequence[Drive] = (), forwards: Sequence[Forward] = (),
         sector_bytes: int = 512, on_line: Callable[[str], None] = lambda line: None) -> BootResult:
    """Boot `image` and wait for `expect`, by default a login prompt, on its first serial port.

    Args:
        image: any format that QEMU knows; one whose name ends in .iso is a CD.
        expect: text that must occur in one line.
        timeout_seconds: how long to wait.
        memory_mib: memory of the machine in MiB.
        cpus: its number of processors.
        firmware: what starts the boot loader.
        accelerator: by default KVM where it really works, else emulation.
        drives: further disks, in their order; the image is the first.
        forwards: ports of this machine that lead into the guest.
        sector_bytes: of the image's disk, 512 or 4096: what its partition table counts in.
        on_line: gets each line of the console as it comes, without colours and control characters.

    Raises:
        InputError: `image` is no disk image.
        ToolMissing: QEMU, or the EFI firmware, is not installed.
    """
    machine = machine_for(image, memory_mib=memory_mib, cpus=cpus, firmware=firmware, accelerator=accelerator,
                          drives=drives, forwards=forwards, sector_bytes=sector_bytes)
    return watch(machine, expect=expect, timeout_seconds=timeout_seconds, on_line=on_line)


def machine_for(image: Path, *, memory_mib: int = DEFAULT_MEMORY_MIB, cpus: int = DEFAULT_CPUS,
                firmware: FirmwareName = "bios", accelerator: Accelerator | None = None,
                drives: Sequence[Drive] = (), forwards: Sequence[Forward] = (), sector_bytes: int = 512) -> Machine:
    """The machine that `boot` starts; arguments and errors as there."""
    file = image_file(image)
    require_tool(PROGRAM)
    disk = Drive(path=file.path, format=file.format, sector_bytes=sector_bytes, cd=image.suffix == ".iso")
    return Machine(drives=(disk, *drives), memory_mib=memory_mib, cpus=cpus,
                   accelerator=accelerator or _accelerator(), efi=efi_firmware() if firmware == "efi" else None,
                   forwards=tuple(forwards))


def watch(machine: Machine, *, expect: str | None = None, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
          on_line: Callable[[str], None] = lambda line: None) -> BootResult:
    """Run `machine` until its console says `expect`, or for `timeout_seconds`. It is gone when this returns.

    Raises:
        ToolMissing: QEMU is not installed.
    """
    console = Console(expect=expect, on_line=on_line)
    begun = clock.monotonic()
    with streamed(*qemu_argv(machine)) as child:
        for piece in child.output(timeout_seconds=timeout_seconds):
            console.feed(piece)
            if console.reached or console.dead_end:
                break
        seconds = clock.monotonic() - begun
        reason = "" if console.reached else console.dead_end or _silence(child, timeout_seconds)
    console.finish()
    return BootResult(reached=console.reached, seconds=seconds, tail=console.tail, accelerator=machine.accelerator,
                      reason=reason)


def efi_firmware() -> Firmware:
    """The EFI firmware of this machine's distribution.

    Raises:
        ToolMissing: there is none.
    """
    for code, variables in EFI_FIRMWARE:
        if Path(code).is_file() and Path(variables).is_file():
            return Firmware(code=Path(code), variables=Path(variables))
    raise ToolMissing("there is no EFI firmware for virtual machines", hint="install it: apt-get install ovmf")


def _accelerator() -> Accelerator:
    return "kvm" if kvm_answer(os.environ).usable else "tcg"


def _silence(child: Child, timeout_seconds: float) -> str:
    """Why nothing more comes: the machine went off, or time is up."""
    code = child.wait(timeout_seconds=0.5)
    if code is None:
        return f"it did not come within {timeout_seconds:.0f} s"
    return "the machine switched itself off" if code == 0 else f"QEMU ended with exit code {code}"
