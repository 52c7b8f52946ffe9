"""Debian, built by an ordinary user without any rights, and booted to its login prompt."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.boot.conftest import pydib
from tests.ordinary_user import User, ordinary_user

ALL = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
SEPARATE = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: bios, type: EF02, size: 8MiB}
      - name: boot
        type: '8300'
        size: 512MiB
        mkfs: {type: ext4, label: boot, mount: {mount_point: /boot, fstab: {options: defaults}}}
      - name: swap
        type: '8200'
        size: 256MiB
        mkfs: {type: swap, label: swap, mount: {mount_point: swap, fstab: {options: sw}}}
      - name: var
        type: '8300'
        size: 1GiB
        mkfs: {type: ext4, label: var, mount: {mount_point: /var, fstab: {options: defaults}}}
      - name: root
        type: '8300'
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {options: defaults}}}
"""


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with ordinary_user() as made:
        yield made


@pytest.mark.parametrize(("elements", "environment", "firmware"), [
    pytest.param((), {}, "bios", id="mbr"),
    pytest.param(("block-device-gpt",), {}, "bios", id="gpt", marks=ALL),
    pytest.param(("block-device-efi",), {}, "efi", id="efi", marks=ALL),
    pytest.param((), {"DIB_BLOCK_DEVICE_CONFIG": SEPARATE, "DIB_IMAGE_SIZE": "4"}, "bios", id="boot-var-swap",
                 marks=ALL),
])
def test_it_boots(user: User, elements: tuple[str, ...], environment: dict[str, str], firmware: str) -> None:
    out = user.home / "debian.qcow2"
    program = user.python("from pydib.cli.drop_in import disk_image_create as d; d()")
    variables = [f"{name}={value}" for name, value in {"OVERWRITE_OLD_IMAGE": "1", **environment}.items()]
    argv = user.argv(*variables, *program, "-o", out, "debian-minimal", "vm", *elements)
    done = subprocess.run(argv, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL, errors="replace")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert out.stat().st_uid == user.number
    booted = pydib("boot", "--firmware", firmware, "--timeout", "420", out)
    assert "reached a login prompt" in booted.stdout
