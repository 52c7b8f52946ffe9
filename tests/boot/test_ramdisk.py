"""A ramdisk of DIB's own `ramdisk` element: kernel and initramfs come out, and start on their own."""

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

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

FIRST_CARD = "52-54-00-12-34-56"
"""The address that QEMU gives to the first network card; a boot loader that fetched the ramdisk tells it so."""


@pytest.mark.contract("C-030", "C-191", "C-195")
def test_it_starts_and_runs_its_scripts_to_the_last(tmp_path: Path, fixtures: Path) -> None:
    mirrors = {"DIB_DISTRIBUTION_MIRROR": oracle.mirror(), "DIB_DEBIAN_SECURITY_MIRROR": oracle.security_mirror()}
    env = {**os.environ, "ELEMENTS_PATH": f"{oracle.elements_folder()}:{fixtures / 'elements'}",
           "DIB_RELEASE": "bookworm", **{name: value for name, value in mirrors.items() if value}}
    argv = [sys.executable, "-c", "from pydib.cli.drop_in import ramdisk_image_create as r; r()", "-o", "rd",
            "debian-minimal", "ramdisk-says"]
    done = subprocess.run(argv, env=env, cwd=tmp_path, text=True, capture_output=True, check=False, errors="replace",
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rd.d", "rd.initramfs", "rd.kernel"]
    machine = Machine(memory_mib=2048, accelerator="kvm" if kvm_answer(os.environ).usable else "tcg",
                      kernel=Kernel(path=tmp_path / "rd.kernel", initrd=tmp_path / "rd.initramfs",
                                    command_line=f"console=ttyS0 BOOTIF=01-{FIRST_CARD}"))
    result = watch(machine, expect="ramdisk: last script on kernel ", timeout_seconds=420)
    assert result.reached, "\n".join(result.tail)
    assert "obtained the following from dhcp" in "\n".join(result.tail)
