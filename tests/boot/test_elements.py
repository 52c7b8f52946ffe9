"""Elements of our library in images that boot: what each promises is looked at inside, by the fixture `guest-probe`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pydib.verify.boot import boot
from tests.boot.conftest import pydib

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

HASH = "$6$salt$abcdefghijklmnopqrstuvwxyz"
GROWN = "grown [ $(df --output=size -BM / | tail -n 1 | tr -dc 0-9) -gt 3500 ]"
SERVER = [
    GROWN,
    "user getent passwd dev && su - dev -c 'sudo -n true' && getent shadow dev | grep -F '$'",
    "ssh systemctl is-active ssh && ls /etc/ssh/ssh_host_ed25519_key && sshd -T | grep -i '^macs hmac-sha2-512-etm'",
    "address for card in /sys/class/net/e*; do ip -4 -o addr show dev ${card##*/} | grep 'inet 10.0.2.'; done",
    "names ls -d /sys/class/net/en*",
    "configured-by-us systemctl is-active 'dhcp-interface@*' && ! systemctl is-active systemd-networkd",
    "name-servers grep nameserver /etc/resolv.conf",
    f"root-password getent shadow root | grep -F '{HASH}'",
    "module ! lsmod | grep pcspkr && grep 'blacklist pcspkr' /etc/modprobe.d/blacklist.conf",
    "fail2ban fail2ban-client status sshd",
    "updates systemctl is-enabled unattended-upgrades && apt-config dump | grep 'Unattended-Upgrade \"1\"'",
    "identity grep -E '^[0-9a-f]{32}$' /etc/machine-id",
]
CLOUD = [
    "cloud-init cloud-init status | grep done",
    "source cloud-init query platform | grep -i nocloud || cloud-id | grep -i nocloud",
    GROWN,
    "host-keys ls /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key",
    "ssh systemctl is-active ssh",
    "debian getent passwd debian && su - debian -c 'sudo -n true'",
    "serial-login systemctl is-active serial-getty@ttyS0",
    "console ! grep ttyS0 /proc/cmdline",
]


def build(place: Path, checks: list[str], *elements: str, **env: str) -> Path:
    """An image of these elements with the checks in it, on a disk of 5 GiB."""
    pydib("build", "-o", place / "disk.qcow2", "vm", "guest-probe", *elements, DIB_RELEASE="bookworm",
          ELEMENTS_PATH=str(FIXTURES / "elements"), DIB_GUEST_PROBE="\n".join(checks), DIB_IMAGE_SIZE="3", **env)
    subprocess.run(["qemu-img", "resize", "-q", place / "disk.qcow2", "5G"], check=True)
    return place / "disk.qcow2"


def probed(image: Path) -> None:
    """Boot; every check holds."""
    lines: list[str] = []
    result = boot(image, expect="failed, END", timeout_seconds=600, on_line=lines.append)
    told = [line for line in lines if "PROBE" in line]
    assert result.reached, "\n".join(result.tail)
    assert "PROBE: 0 failed, END" in told[-1], "\n".join(told)


@pytest.mark.proves("growroot", "devuser", "openssh-server", "runtime-ssh-host-keys", "dhcp-all-interfaces",
                    "dynamic-login", "modprobe", "modprobe-blacklist", "stable-interface-names", "fail2ban",
                    "autoupdates", "sysprep", "dib-init-system", "install-static", "install-bin",
                    "package-installs", "pkg-map", how="boot")
def test_a_server(tmp_path: Path) -> None:
    image = build(tmp_path, SERVER, "debian-minimal", "growroot", "devuser", "openssh-server", "dhcp-all-interfaces",
                  "dynamic-login", "modprobe-blacklist", "stable-interface-names", "fail2ban", "autoupdates",
                  DIB_DEV_USER_USERNAME="dev", DIB_DEV_USER_PASSWORD="a secret", DIB_DEV_USER_PWDLESS_SUDO="yes",
                  DIB_MODPROBE_BLACKLIST="pcspkr",
                  DIB_BOOTLOADER_DEFAULT_CMDLINE=f"rootpwd={HASH.replace('$', chr(92) + '$')}")
    probed(image)


@pytest.mark.proves("debian", "debian-systemd", "cloud-init", "cloud-init-nocloud", "cloud-init-datasources",
                    "cloud-init-growpart", "enable-serial-console", "serial-console", how="boot")
def test_a_cloud_image_without_a_cloud(tmp_path: Path) -> None:
    image = build(tmp_path, CLOUD, "debian-systemd", "cloud-init", "cloud-init-nocloud", "cloud-init-growpart",
                  "serial-console", DIB_CLOUD_INIT_GROWPART_DEVICES="/", DIB_BOOTLOADER_USE_SERIAL_CONSOLE="False")
    probed(image)
