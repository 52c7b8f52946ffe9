"""Elements of our library in images that boot: what each promises is looked at inside, by the fixture `guest-probe`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pydib.verify.boot import FirmwareName, boot
from pydib.verify.drives import seed_drive
from pydib.verify.qemu import Drive
from pydib.verify.seed import Seed
from tests.boot.conftest import pydib
from tests.served import served

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

HASH = "$6$salt$abcdefghijklmnopqrstuvwxyz"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFak builder@test"
GROWN = "grown [ $(df --output=size -BM / | tail -n 1 | tr -dc 0-9) -gt 3500 ]"
SERVER = [
    "journal logger --tag told-on-the-console and so it should be",
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
    "own-module modprobe dib_proof && grep dib_proof /proc/modules",
    "python grep -x 3 /etc/dib-python-was && ! ls /usr/local/bin/dib-python",
    "environments python3 -m venv /tmp/v && /tmp/v/bin/pip --version && pip3 --version && virtualenv /tmp/w",
    f"builders-keys grep -xF '{KEY}' /root/.ssh/authorized_keys && stat -c %a /root/.ssh/authorized_keys | grep -x 600",
    "rdma-drivers lsmod | grep ^mlx4_en && lsmod | grep ^mlx5_core",
    "database toy-database | grep 'toy database'",
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


def probed(image: Path, *, firmware: FirmwareName = "bios", drives: Sequence[Drive] = ()) -> list[str]:
    """Boot; every check holds. Gives what the console said."""
    lines: list[str] = []
    result = boot(image, expect="failed, END", timeout_seconds=600, on_line=lines.append, firmware=firmware,
                  drives=drives)
    told = [line for line in lines if "PROBE" in line]
    assert result.reached, "\n".join(result.tail)
    assert "PROBE: 0 failed, END" in told[-1], "\n".join(told)
    return lines


def home_with_key(place: Path) -> Path:
    """A home directory whose owner lets a key in."""
    (place / "home/.ssh").mkdir(parents=True)
    (place / "home/.ssh/authorized_keys").write_text(f"{KEY}\n")
    return place / "home"


def toy_database(place: Path) -> Path:
    """A package that somebody has, and no archive."""
    tree = place / "toy"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/toy-database").write_text("#!/bin/sh\necho a toy database\n")
    (tree / "usr/bin/toy-database").chmod(0o755)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text("Package: toy-database\nVersion: 1\nArchitecture: all\n"
                                         "Maintainer: Nobody <nobody@toy.test>\nDescription: a toy\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, place / "toy.deb"], check=True,
                   capture_output=True)
    return place / "toy.deb"


@pytest.mark.proves("growroot", "devuser", "openssh-server", "runtime-ssh-host-keys", "dhcp-all-interfaces",
                    "dynamic-login", "modprobe", "modprobe-blacklist", "stable-interface-names", "fail2ban",
                    "autoupdates", "sysprep", "dib-init-system", "install-static", "install-bin",
                    "package-installs", "pkg-map", "dkms", "dib-python", "ensure-venv", "pip-and-virtualenv",
                    "local-config", "mellanox", "datastore-package", "journal-to-console", how="boot")
def test_a_server(tmp_path: Path) -> None:
    cache = os.environ.get("DIB_IMAGE_CACHE") or str(Path.home() / ".cache/image-create")
    image = build(tmp_path, SERVER, "debian-minimal", "growroot", "devuser", "openssh-server", "dhcp-all-interfaces",
                  "dynamic-login", "modprobe-blacklist", "stable-interface-names", "fail2ban", "autoupdates",
                  "dkms", "guest-module", "pip-and-virtualenv", "local-config", "mellanox", "datastore-package",
                  "journal-to-console",
                  DIB_DEV_USER_USERNAME="dev", DIB_DEV_USER_PASSWORD="a secret", DIB_DEV_USER_PWDLESS_SUDO="yes",
                  DIB_MODPROBE_BLACKLIST="pcspkr", HOME=str(home_with_key(tmp_path)), DIB_IMAGE_CACHE=cache,
                  DATASTORE_PKG_LOCATION=str(toy_database(tmp_path)),
                  DIB_BOOTLOADER_DEFAULT_CMDLINE=f"rootpwd={HASH.replace('$', chr(92) + '$')}")
    console = probed(image)
    assert any("told-on-the-console" in line for line in console)


@pytest.mark.proves("debian", "debian-systemd", "cloud-init", "cloud-init-nocloud", "cloud-init-datasources",
                    "cloud-init-growpart", "enable-serial-console", "serial-console", how="boot")
def test_a_cloud_image_without_a_cloud(tmp_path: Path) -> None:
    image = build(tmp_path, CLOUD, "debian-systemd", "cloud-init", "cloud-init-nocloud", "cloud-init-growpart",
                  "serial-console", DIB_CLOUD_INIT_GROWPART_DEVICES="/", DIB_BOOTLOADER_USE_SERIAL_CONSOLE="False")
    probed(image)


STATIC = {
    "links": [{"id": "link0", "type": "phy", "ethernet_mac_address": "52:54:00:12:34:56"}],
    "networks": [{"id": "net0", "link": "link0", "type": "ipv4", "ip_address": "10.0.2.77", "netmask": "255.255.255.0",
                  "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.2.2"}]}],
    "services": [],
}
"""What a cloud says about the network card, which has QEMU's first address."""
APPLIANCE = [
    "initramfs lsinitrd >/tmp/list && grep -x network /tmp/list && grep virtio_net /tmp/list && grep dracut- /tmp/list",
    "address-in-the-initramfs journalctl -b -o cat | grep -iE 'dhcp.*10.0.2.15|10.0.2.15.*dhcp'",
    "signed ls /usr/lib/shim/shimx64.efi.signed /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "grub-bios ls /usr/lib/grub/i386-pc/boot.img && [ -z \"$(grub-editenv - list)\" ]",
    "firmware ls -d /sys/firmware/efi && findmnt --fstab /boot/efi",
    "address ip -4 -o addr show | grep 'inet 10.0.2.77/24' && ip route | grep 'default via 10.0.2.2'",
    "name hostname | grep -x appliance",
    f"clouds-keys grep -F '{KEY}' /root/.ssh/authorized_keys",
    "vlans lsmod | grep ^8021q",
    "no-cloud-init ! dpkg -s cloud-init",
]


@pytest.mark.proves("dracut-network", "dracut-regenerate", "grub2", "simple-init", "block-device-efi", how="boot")
def test_an_appliance_with_dracut_and_glean(tmp_path: Path) -> None:
    glean = tmp_path / "index/glean"
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--dest", glean, "glean"], check=True)
    with served(tmp_path / "index") as address:
        image = build(tmp_path, APPLIANCE, "debian-minimal", "block-device-efi", "dracut-network", "grub2",
                      "simple-init", "pypi", DIB_PYPI_MIRROR_URL=address, DIB_NO_PYPI_PIP="1",
                      DIB_BOOTLOADER_DEFAULT_CMDLINE="rd.neednet=1 ip=dhcp")
    seed = Seed(uuid="7c51f6a3-5a4c-4c5c-8f3e-5b3f0b6f7a11", hostname="appliance", network_data=STATIC,
                public_keys={"builder": KEY})
    probed(image, firmware="efi", drives=[seed_drive("config-drive", seed, tmp_path)])
