"""The smallest system: made without a network in seconds, it boots to a login prompt. The README's first build."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydib.verify.boot import watch
from pydib.verify.kvm import kvm_answer
from pydib.verify.qemu import Drive, Kernel, Machine
from tests.boot.conftest import pydib


@pytest.mark.proves("busybox", how="boot")
def test_it_is_made_without_a_network_and_boots(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from pydib.cli.main import run; run()"]
    done = subprocess.run(["unshare", "--net", *program, "build", "-o", tmp_path / "small.qcow2", "busybox", "vm"],
                          env={**os.environ, "DIB_BUSYBOX_PASSWORD": "a secret"}, text=True, capture_output=True,
                          check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "a secret" not in done.stdout + done.stderr
    assert (tmp_path / "small.qcow2").stat().st_size < 60 << 20
    told = pydib("boot", "--timeout", "240", tmp_path / "small.qcow2").stdout
    assert "busybox login:" in told and "reached a login prompt" in told


@pytest.mark.proves("baremetal", how="boot")
def test_the_kernel_beside_an_image_without_partitions_boots_it(tmp_path: Path) -> None:
    pydib("build", "-o", tmp_path / "small.qcow2", "busybox", "baremetal")
    machine = Machine(drives=(Drive(path=tmp_path / "small.qcow2", format="qcow2"),),
                      accelerator="kvm" if kvm_answer(os.environ).usable else "tcg",
                      kernel=Kernel(path=tmp_path / "small.vmlinuz", initrd=tmp_path / "small.initrd",
                                    command_line="console=ttyS0 root=LABEL=cloudimg-rootfs"))
    result = watch(machine, expect="busybox login:", timeout_seconds=240)
    assert result.reached, "\n".join(result.tail)
