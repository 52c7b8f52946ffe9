"""A ramdisk of DIB's own `ramdisk` element, and of ours: kernel and initramfs come out, and start on their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import oracle
from pydib.verify.boot import watch
from pydib.verify.kvm import kvm_answer
from pydib.verify.qemu import Kernel, Machine

FIRST_CARD = "52-54-00-12-34-56"
"""The address that QEMU gives to the first network card; a boot loader that fetched the ramdisk tells it so."""


@pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
@pytest.mark.contract("C-030", "C-191", "C-195")
def test_it_starts_and_runs_its_scripts_to_the_last(tmp_path: Path, fixtures: Path) -> None:
    mirrors = {"DIB_DISTRIBUTION_MIRROR": oracle.mirror(), "DIB_DEBIAN_SECURITY_MIRROR": oracle.security_mirror()}
    make(tmp_path, "debian-minimal", "ramdisk-says", **{name: value for name, value in mirrors.items() if value},
         ELEMENTS_PATH=f"{oracle.elements_folder()}:{fixtures / 'elements'}")
    assert "obtained the following from dhcp" in started(tmp_path, f"BOOTIF=01-{FIRST_CARD}", "last script on kernel ")


@pytest.mark.proves("ramdisk", "ramdisk-base", how="boot")
def test_ours_gets_an_address_and_gives_a_shell(tmp_path: Path) -> None:
    make(tmp_path, "ramdisk", "debian-minimal")
    assert "ramdisk: eth0 has address 10.0.2.15" in started(tmp_path, "quiet", "bash-5.2#")


@pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
@pytest.mark.proves("dracut-ramdisk", how="boot")
def test_one_of_dracut_gets_an_address_and_gives_a_shell(tmp_path: Path) -> None:
    make(tmp_path, "--ramdisk-element", "dracut-ramdisk", "debian-minimal")
    assert "ramdisk: eth0 has address 10.0.2.15" in started(tmp_path, "quiet", "bash-5.2#")


def make(place: Path, *elements: str, **env: str) -> None:
    """Kernel and ramdisk of these elements come out, in `place`."""
    argv = [sys.executable, "-c", "from pydib.cli.drop_in import ramdisk_image_create as r; r()", "-o", "rd", *elements]
    done = subprocess.run(argv, env={**os.environ, "DIB_RELEASE": "bookworm", **env}, cwd=place, text=True,
                          capture_output=True, check=False, errors="replace", stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["rd.d", "rd.initramfs", "rd.kernel"]


def started(place: Path, command_line: str, expect: str) -> str:
    """Start them until they say so; the console's last lines."""
    machine = Machine(memory_mib=1024, accelerator="kvm" if kvm_answer(os.environ).usable else "tcg",
                      kernel=Kernel(path=place / "rd.kernel", initrd=place / "rd.initramfs",
                                    command_line=f"console=ttyS0 {command_line}"))
    result = watch(machine, expect=expect, timeout_seconds=420)
    assert result.reached, "\n".join(result.tail)
    return "\n".join(result.tail)
