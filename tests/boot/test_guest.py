"""What this machine's kernel may not do, done in a virtual machine with Debian's kernel, which pydib built itself."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import oracle
from tests.boot.conftest import pydib
from tests.boot.guest import Guest

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
PYTEST = "cd /pydib && python3 -m pytest -q -ra -p no:cacheprovider --basetemp=/var/tmp/pytest "
NO_TEST_IS_LEFT_OUT = re.compile(r"^\d+ passed in ", re.MULTILINE)


def test_a_job_brings_back_output_files_and_exit_code(guest: Guest) -> None:
    result = guest.run("echo out; echo err >&2; echo kept >/job/file; pydib doctor | grep device-mapper; exit 7",
                       timeout_seconds=420)
    assert result.code == 7
    assert result.output.splitlines()[:2] == ["out", "err"]
    assert re.search(r"^ok +device-mapper", result.output, re.MULTILINE)
    assert (guest.place / "file").read_text() == "kept\n"


def test_a_job_without_end_is_cut_off(guest: Guest) -> None:
    with pytest.raises(AssertionError, match="no exit code"):
        guest.run("sleep 1000", timeout_seconds=20)


def test_kpartx_and_lvm(guest: Guest) -> None:
    """Whole builds on device-mapper, killed ones too."""
    result = guest.run(PYTEST + "tests/machine/test_device_mapper.py", timeout_seconds=2400)
    assert result.code == 0, result.output[-8000:]
    assert NO_TEST_IS_LEFT_OUT.search(result.output), result.output[-2000:]


def test_disks_of_all_kinds(guest: Guest) -> None:
    """Each way to map partitions, vfat that is mounted, LVM with a thin pool."""
    result = guest.run(PYTEST + "tests/blockdev", timeout_seconds=1800)
    assert result.code == 0, result.output[-8000:]
    skipped = [line for line in result.output.splitlines() if line.startswith("SKIPPED")]
    reasons = ("this machine has device-mapper", "this kernel can mount vfat", "linux.uml is not installed")
    assert [line for line in skipped if not line.endswith(reasons)] == []


BUILD = """
cp -a /job/cache /var/tmp/cache
mkdir /job/out && cd /job/out && disk-image-create -u -o efi debian-minimal vm block-device-efi
"""


PACKAGES = ("linux-image-amd64,grub-efi-amd64,grub-pc-bin,efibootmgr,open-iscsi,locales,cloud-initramfs-growroot,"
            "adduser,ca-certificates,netbase,systemd-sysv,busybox,sudo,gnupg2,python3,lsb-release,"
            "software-properties-common,apt-transport-https")
"""What DIB's scripts will ask for. That it is in the bootstrap already saves most of the emulated time: unpacking, and
making an initramfs."""


@pytest.fixture
def filled_cache(tmp_path: Path) -> dict[str, str]:
    """DIB's cache of bootstraps, filled by a build on this machine, and settings that make use of it: from one archive
    alone, since a newer kernel of another would be unpacked again."""
    mirror = oracle.mirror()
    settings = {"DIB_RELEASE": "bookworm", "DIB_DISTRIBUTION_MIRROR": mirror,
                "DIB_APT_SOURCES_CONF": f"default:deb {mirror} bookworm main"}
    pydib("build", "-t", "tar", "-o", tmp_path / "fill", "debian-minimal", "vm", DIB_DEBOOTSTRAP_CACHE="1",
          DIB_MMDEBSTRAP_EXTRA_ARGS=f"--include={PACKAGES}", DIB_IMAGE_CACHE=str(tmp_path / "job" / "cache"),
          ELEMENTS_PATH=str(oracle.elements_folder()), **settings)
    return {**settings, "DIB_DEBIAN_USE_DEBOOTSTRAP_CACHE": "1"}


@pytest.mark.contract("C-001")
def test_dibs_own_efi_disk_is_built_there_and_boots_here(guest: Guest, filled_cache: dict[str, str],
                                                         tmp_path: Path) -> None:
    result = replace(guest, read_only={"elements": oracle.elements_folder()}).run(
        BUILD, timeout_seconds=5400, ELEMENTS_PATH="/elements", DIB_IMAGE_CACHE="/var/tmp/cache", **filled_cache)
    assert result.code == 0, result.output[-8000:]
    image = guest.place / "out" / "efi.qcow2"
    for firmware in ("efi", "bios"):  # DIB installs GRUB for both
        assert "reached a login prompt" in pydib("boot", "--firmware", firmware, "--timeout", "420", image).stdout
    shutil.rmtree(guest.place)
