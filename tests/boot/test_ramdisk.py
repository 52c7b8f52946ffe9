"""Ramdisks, of DIB's own `ramdisk` element and of ours: kernel and initramfs come out, and start; so does a CD."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks import oracle
from pydib.verify.boot import FirmwareName, boot
from pydib.verify.qemu import Drive
from tests.boot.conftest import pydib
from tests.boot.ramdisk import BOOTIF, Start, make

LONG = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
PROMPT = "bash-5.2#"
FIRMWARE: tuple[FirmwareName, ...] = ("bios", "efi")


@LONG
@pytest.mark.contract("C-030", "C-191", "C-195")
def test_it_starts_and_runs_its_scripts_to_the_last(tmp_path: Path, fixtures: Path) -> None:
    mirrors = {"DIB_DISTRIBUTION_MIRROR": oracle.mirror(), "DIB_DEBIAN_SECURITY_MIRROR": oracle.security_mirror()}
    make(tmp_path, "debian-minimal", "ramdisk-says", **{name: value for name, value in mirrors.items() if value},
         DIB_APT_LOCAL_CACHE="0",  # DIB's dpkg mounts one folder for all builds: two at a time fail on apt's lock
         ELEMENTS_PATH=f"{oracle.elements_folder()}:{fixtures / 'elements'}")
    told = Start(place=tmp_path, command_line=BOOTIF, memory_mib=2048).until("ramdisk: last script on kernel ")
    assert "obtained the following from dhcp" in told


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our ramdisk without work, and a CD of it."""
    place = tmp_path_factory.mktemp("ramdisk")
    make(place, "ramdisk", "debian-minimal", "iso", DIB_DEPLOY_ISO_KERNEL_CMDLINE_ARGS="console=ttyS0 quiet")
    return place


@pytest.mark.proves("ramdisk", "ramdisk-base", how="boot")
def test_ours_gets_an_address_and_gives_a_shell(made: Path) -> None:
    assert "ramdisk: eth0 has address 10.0.2.15" in Start(place=made, command_line="").until(PROMPT)


@pytest.mark.proves("iso", "grub2", how="boot")
@pytest.mark.parametrize("firmware", ["bios", pytest.param("efi", marks=LONG)])
def test_a_cd_starts_it(made: Path, firmware: FirmwareName) -> None:
    result = boot(made / "rd.iso", expect=PROMPT, firmware=firmware, timeout_seconds=420)
    assert result.reached, "\n".join(result.tail)
    assert "ramdisk: eth0 has address 10.0.2.15" in "\n".join(result.tail)


@LONG
@pytest.mark.proves("iso", "baremetal", "iscsi-boot", "ibft-interfaces", how="boot")
def test_a_cd_starts_a_disk_that_cannot_start_itself(tmp_path: Path) -> None:
    """Its initramfs, and a service, would ask the firmware for cards and a disk; there is nothing, and it goes on."""
    pydib("build", "-o", tmp_path / "disk.qcow2", "debian-minimal", "baremetal", "iso", "iscsi-boot", "ibft-interfaces",
          DIB_RELEASE="bookworm", DIB_BOOT_ISO_KERNEL_CMDLINE_ARGS="console=ttyS0")
    initramfs = subprocess.run(["zstd", "-dc", tmp_path / "disk.initrd"], capture_output=True, check=True).stdout
    names = subprocess.run(["cpio", "--quiet", "-t"], input=initramfs, capture_output=True, check=True).stdout.decode()
    assert "\netc/iscsi.initramfs\n" in names
    disk = Drive(path=tmp_path / "disk.qcow2", format="qcow2")
    for firmware in FIRMWARE:
        lines: list[str] = []
        result = boot(tmp_path / "disk-boot.iso", drives=[disk], timeout_seconds=600, on_line=lines.append,
                      firmware=firmware)
        assert result.reached, "\n".join(result.tail)
        assert any("Finished" in line and "iSCSI Boot Firmware Table" in line for line in lines), "\n".join(lines)


@LONG
@pytest.mark.proves("dracut-ramdisk", how="boot")
def test_one_of_dracut_gets_an_address_and_gives_a_shell(tmp_path: Path) -> None:
    make(tmp_path, "--ramdisk-element", "dracut-ramdisk", "debian-minimal")
    assert "ramdisk: eth0 has address 10.0.2.15" in Start(place=tmp_path, command_line="").until(PROMPT)
    archive = gzip.decompress((tmp_path / "rd.initramfs").read_bytes())
    names = subprocess.run(["cpio", "--quiet", "-t"], input=archive, capture_output=True,
                           check=True).stdout.decode().split()
    assert "usr/lib/dracut/hooks/pre-mount/50-run-init.sh" in names
