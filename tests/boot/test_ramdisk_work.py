"""Ramdisks whose work is to talk: to servers that ask what a machine has, and to those that write to its disk."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest

from pydib.verify.qemu import Drive, Forward
from tests.boot.conftest import pydib
from tests.boot.ramdisk import BOOTIF, HOST, Start, call, free_port, make, peer
from tests.served import served

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

IQN = "iqn.2026-01.org.example:disk"
MAC = "52:54:00:12:34:56"
TOLD = ": this is what the second kernel was told"
"""Ends the line of the second kernel: the console is read until it comes."""
BMC = ("-device", "ipmi-bmc-sim,id=bmc0", "-device", "isa-ipmi-kcs,bmc=bmc0")


def disk(place: Path, mebibytes: int) -> Drive:
    """An empty disk that keeps what is written to it."""
    with (place / "disk.raw").open("wb") as file:
        file.truncate(mebibytes << 20)
    return Drive(path=place / "disk.raw", format="raw", snapshot=False)


def written_over_iscsi(port: int) -> None:
    """Write to LUN 1 of the machine's target, by QEMU's own initiator, and read it back."""
    url = f"iscsi://127.0.0.1:{port}/{IQN}/1"
    for command in ("write -P 0x61 1M 64k", "read -P 0x61 1M 64k"):
        done = subprocess.run(["qemu-io", "-f", "raw", "-c", command, url], capture_output=True, text=True, check=False,
                              timeout=120)
        assert done.returncode == 0 and "verification failed" not in done.stdout, done.stdout + done.stderr


def was_written(drive: Drive) -> bool:
    """Whether the machine's disk has what came over iSCSI."""
    with drive.path.open("rb") as file:
        file.seek(1 << 20)
        return file.read(1 << 16) == b"a" * (1 << 16)


@pytest.mark.proves("hwdiscovery", "hwburnin", "ironic-discoverd-ramdisk", how="boot")
def test_what_a_machine_has_is_told(tmp_path: Path) -> None:
    make(tmp_path, "hwdiscovery", "hwburnin", "ironic-discoverd-ramdisk", "debian-minimal")
    inspected(tmp_path)


def inspected(place: Path) -> None:
    """Both servers are told; memory and disk are tried; the machine goes off. QEMU's BMC has no address."""
    with peer() as server:
        told = Start(place=place, drives=(disk(place, 2048),), more=BMC, command_line=(
            f"{BOOTIF} HW_DISCOVERY_URL={server.url}/discovered discoverd_callback_url={server.url}/continued "
            "burnin_memory=8M burnin_loops=1 burnin_disk=vda burnin_disk_size=4M")).until("the machine goes off")
    assert "hwburnin: memory is sound" in told and "hwburnin: disk /dev/vda is sound" in told
    (first, form), (second, inventory) = server.asked
    assert (first, second) == ("/discovered", "/continued")
    fields = parse_qs(form, strict_parsing=True)
    hardware = json.loads(base64.b64decode(fields["hwdiscovery_data"][0], validate=True))
    assert fields["hwdiscovery"] == ["true"] and hardware["cpu cores"] == "2"
    assert hardware["disk size"] == str(2 << 30) and hardware["pxe mac"] == MAC
    assert int(hardware["ram size"]) == 1 << 30
    assert b"/dev/vda" in base64.b64decode(hardware["extra data"]["raw disk"])
    machine = json.loads(inventory)
    assert machine["interfaces"] == {"eth0": {"mac": MAC, "ip": "10.0.2.15"}} and machine["boot_interface"] == MAC
    assert (machine["cpus"], machine["cpu_arch"], machine["memory_mb"], machine["local_gb"]) == (2, "x86_64", 1024, 1)
    assert "error" not in machine and machine["ipmi_address"] == ""


@pytest.mark.proves("deploy", "deploy-baremetal", "deploy-kexec", "deploy-tgtadm", how="boot")
def test_a_disk_is_deployed_and_started(tmp_path: Path) -> None:
    make(tmp_path, "deploy", "deploy-kexec", "debian-minimal")
    deployed(tmp_path)


def deployed(place: Path) -> None:
    """The disk is offered, written to and taken back; what the TFTP server names is started."""
    (place / "tftp/pxelinux.cfg").mkdir(parents=True)
    entry = "default boot\nlabel boot\nkernel 7/kernel\nappend initrd=7/ramdisk console=ttyS0 quiet deployed=yes\n"
    (place / "tftp/pxelinux.cfg" / f"01-{MAC.replace(':', '-')}").write_text(entry)
    (place / "tftp/7").mkdir()
    shutil.copy(place / "rd.kernel", place / "tftp/7/kernel")
    tell_tale(place / "tftp/7/ramdisk")
    iscsi, back, drive = free_port(), free_port(), disk(place, 16)
    with peer() as server:
        def server_writes() -> None:
            form = parse_qs(server.asked[0][1], keep_blank_values=True, strict_parsing=True)
            assert form == {"i": ["7"], "k": ["a&b+c"], "a": ["10.0.2.15"], "n": [IQN], "e": [""]}
            written_over_iscsi(iscsi)
            call(back)

        told = Start(
            place=place, drives=(drive,), tftp=place / "tftp", when={"waiting for a call": server_writes},
            forwards=(Forward(host_port=iscsi, guest_port=3260), Forward(host_port=back, guest_port=10000)),
            command_line=f"{BOOTIF} boot_server={HOST}:{server.port} disk=sda,vda deployment_id=7 deployment_key=a&b+c "
                         f"iscsi_target_iqn={IQN}").until(TOLD)
    assert "deploy-baremetal: /dev/vda has been written" in told and was_written(drive)
    assert f"console=ttyS0 quiet deployed=yes{TOLD}" in told


@pytest.mark.proves("ironic-agent", how="boot")
def test_ironics_agent_looks_for_its_node(tmp_path: Path) -> None:
    """Its packages are fetched here, as this machine fetches packages, and served to the build."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "-w", tmp_path / "wheels", "ironic-python-agent"],
                   check=True)
    made = tmp_path / "made"
    made.mkdir()
    with served(tmp_path / "wheels") as address:
        pydib("build", "-o", made / "rd", "debian-minimal", "ironic-agent", DIB_RELEASE="bookworm", PIP_NO_INDEX="1",
              PIP_FIND_LINKS=f"{address}/")
    assert {path.name for path in made.iterdir()} == {"rd.d", "rd.initramfs", "rd.kernel", "rd.vmlinuz"}
    looked_up(made)


def looked_up(place: Path) -> None:
    """The agent starts in the ramdisk, and asks Ironic which node it is, by the address of its card."""
    node = {"node": {"uuid": "7", "driver_info": {}, "properties": {}, "instance_info": {}, "driver_internal_info": {}},
            "config": {"heartbeat_timeout": 300, "agent_token": "a-token", "agent_token_required": True}}
    with peer(lookup=json.dumps(node)) as server:
        Start(place=place, drives=(disk(place, 5120),), memory_mib=4096,
              command_line=f"ipa-api-url={server.url} ipa-debug=1").until("heartbeat successful", timeout_seconds=1200)
    assert any("/v1/lookup" in path and MAC in unquote(path) for path, _ in server.asked), server.asked


def tell_tale(path: Path) -> None:
    """A ramdisk of busybox that tells the kernel's command line."""
    tree = path.with_suffix(".tree")
    for name in ("bin", "proc", "dev"):
        (tree / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox
    shutil.copy(busybox, tree / "bin/busybox")
    (tree / "init").write_text('#!/bin/busybox sh\nbusybox mount -t proc proc /proc\n'
                               f'echo "$(busybox cat /proc/cmdline){TOLD}"\nbusybox poweroff -f\n')
    (tree / "init").chmod(0o755)
    os.mknod(tree / "dev/console", 0o600 | 0o020000, os.makedev(5, 1))
    names = "\n".join(str(one.relative_to(tree)) for one in sorted(tree.rglob("*")))
    archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(), check=True,
                             capture_output=True).stdout
    path.write_bytes(archive)


@pytest.mark.proves("deploy-ironic", "deploy-targetcli", how="boot")
def test_ironic_deploys_a_disk(tmp_path: Path) -> None:
    make(tmp_path, "--ramdisk-element", "dracut-ramdisk", "deploy-ironic", "debian-minimal")
    deployed_by_ironic(tmp_path)


def deployed_by_ironic(place: Path) -> None:
    """Ironic is told, with the token that it left; the kernel's own target is written to; the machine starts again."""
    (place / "tftp").mkdir()
    (place / "tftp/token-7").write_text("a-token\n")
    iscsi, back, drive = free_port(), free_port(), disk(place, 2048)
    with peer() as server:
        def ironic_writes() -> None:
            path, body = server.asked[0]
            assert path == "/v1/nodes/7/vendor_passthru/pass_deploy_info"
            assert json.loads(body) == {"address": "10.0.2.15", "key": 'a"b', "iqn": IQN, "error": "", "mac": MAC}
            assert server.headers[0].get("X-Auth-Token") == "a-token"
            written_over_iscsi(iscsi)
            call(back)

        told = Start(
            place=place, drives=(drive,), tftp=place / "tftp", when={"waiting for a call": ironic_writes},
            forwards=(Forward(host_port=iscsi, guest_port=3260), Forward(host_port=back, guest_port=10000)),
            command_line=f"boot_server={HOST} root_device=size=2,vendor=0x1af4 deployment_id=7 deployment_key=a\"b "
                         f"iscsi_target_iqn={IQN} ironic_api_url={server.url}/").until("the machine starts again")
    assert "deploy-ironic: /dev/vda has been written" in told and was_written(drive)
