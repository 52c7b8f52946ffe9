"""Elements of the library in a real build of the element `busybox`: what they leave in its tree is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.machine

ELEMENTS = ("apt-conf", "apt-preferences", "apt-sources", "architecture-emulation-binaries", "baremetal",
            "cleanup-kernel-initrd", "cloud-init-disable-resizefs", "dib-run-parts", "disable-nouveau",
            "disable-selinux", "element-manifest", "install-types", "manifests", "modprobe-blacklist",
            "no-final-image", "pip-cache", "pypi", "select-boot-kernel-initrd", "selinux-permissive", "svc-map",
            "sysctl")
SCRIPTS = {
    "root.d/30-before": "mkdir -p $TARGET_ROOT/etc/selinux $TARGET_ROOT/etc/cloud $TARGET_ROOT/usr/lib/systemd/system\n"
                        "printf 'modules:\\n - growpart\\n - users\\n' >$TARGET_ROOT/etc/cloud/cloud.cfg\n"
                        "cd $TARGET_ROOT/boot && touch vmlinuz-0.1-old initrd.img-0.1-old config-0.1-old\n"
                        "echo 12 >$TARGET_ROOT/etc/debian_version\n",
    "install.d/70-look": "{\nsysctl-set-value net.ipv4.ip_forward 1\nsvc-map web\nselect-boot-kernel-initrd\n"
                         "cat /root/.pip/pip.conf\necho $PIP_CACHE_DIR\ntouch /tmp/pip/kept\n"
                         "dib-run-parts --list /tmp/in_target.d/finalise.d\n} >/etc/seen\n",
    "install.d/probe-source-install/71-source": "echo by source >>/etc/seen\n",
    "install.d/probe-package-install/71-package": "echo by package >>/etc/seen\n",
    "finalise.d/10-end": "true\n",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """Text of the small files of a build with all these elements, and the folder of its outputs."""
    place = tmp_path_factory.mktemp("library")
    for name, text in SCRIPTS.items():
        script = place / "elements/probe" / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!/bin/bash\nset -eu\n{text}")
        script.chmod(0o755)
    (place / "elements/probe/svc-map").write_text("web:\n  default: httpd\n")
    (place / "apt.conf").write_text('Marker "yes";\n')
    (place / "sources").write_text("deb http://a.test stable main\n")
    packages = [{"package": "bash", "version": "1", "status": "ii"}]
    (place / "manifest").write_text(json.dumps({"packages": packages}))
    env = {**os.environ, "ELEMENTS_PATH": str(place / "elements"), "DIB_APT_CONF": str(place / "apt.conf"),
           "DIB_APT_SOURCES": str(place / "sources"), "DIB_DPKG_MANIFEST": str(place / "manifest"),
           "DIB_MODPROBE_BLACKLIST": "pcspkr", "DIB_PYPI_MIRROR_URL": "http://p.test",
           "DIB_INSTALLTYPE_probe": "package", "DIB_BAREMETAL_KERNEL_PATTERN": "vmlinuz-*",
           "DIB_BAREMETAL_INITRD_PATTERN": "initrd*", "HOME": str(place)}
    command = [sys.executable, "-c", "from pydib.cli.main import run; run()", "build", "-o", "small", "-t", "tar,qcow2",
               "--progress", "lines", "busybox", "probe", *ELEMENTS]
    done = subprocess.run(command, env=env, cwd=place, text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    files = {}
    with tarfile.open(place / "small.tar") as archive:
        for entry in archive:
            if entry.isfile() and entry.size < 10_000 and (opened := archive.extractfile(entry)):
                files[entry.name.removeprefix(".")] = opened.read().decode(errors="replace")
    return files, place


@pytest.mark.proves("apt-conf", "apt-preferences", "apt-sources", "disable-selinux", "selinux-permissive",
                    "modprobe-blacklist", "disable-nouveau", "cloud-init-disable-resizefs", "sysctl", how="real run")
def test_files_are_as_they_should_be(tree: tuple[dict[str, str], Path]) -> None:
    files, _ = tree
    assert files["/etc/apt/apt.conf"] == 'Marker "yes";\n'
    assert "Package: bash\nPin: version 1\nPin-Priority: 1001" in files["/etc/apt/preferences"]
    assert files["/etc/apt/sources.list"] == "deb http://a.test stable main\n"
    assert files["/etc/selinux/config"] == "SELINUX=disabled\nSELINUXTYPE=targeted\n"
    assert files["/etc/modprobe.d/blacklist.conf"] == "blacklist pcspkr\n"
    assert "nouveau" in files["/etc/modprobe.d/disable-nouveau.conf"]
    assert files["/etc/cloud/cloud.cfg"] == "modules:\n - users\n"
    assert "net.ipv4.ip_forward = 1\n" in files["/etc/sysctl.d/net.ipv4.ip_forward.conf"]


@pytest.mark.proves("svc-map", "select-boot-kernel-initrd", "pypi", "pip-cache", "dib-run-parts", "install-types",
                    how="real run")
def test_scripts_in_the_image_find_their_tools(tree: tuple[dict[str, str], Path]) -> None:
    files, place = tree
    seen = files["/etc/seen"].splitlines()
    assert seen[0] == "httpd" and seen[1].startswith("vmlinuz-") and ":initrd.img-" in seen[1]
    assert "    http://p.test" in seen and "/tmp/pip" in seen and "/tmp/in_target.d/finalise.d/10-end" in seen
    assert seen[-1] == "by package"
    assert "/root/.pip/pip.conf" not in files and "/tmp/pip/kept" not in files
    assert (place / ".cache/image-create/pip/kept").exists()
    assert not any("diskimage-builder/img-functions" in name for name in files)


@pytest.mark.proves("manifests", "element-manifest", "no-final-image", "architecture-emulation-binaries", "baremetal",
                    "cleanup-kernel-initrd", how="real run")
def test_what_lies_beside_the_image(tree: tuple[dict[str, str], Path]) -> None:
    files, place = tree
    assert not (place / "small.qcow2").exists() and (place / "small.tar").exists()
    names = files["/etc/dib-manifests/dib-element-manifest"].split()
    assert {"busybox", "probe", *ELEMENTS} <= set(names)
    assert (place / "small.d/dib-manifests/dib-element-manifest").read_text().split() == names
    assert (place / "small.vmlinuz").stat().st_size > 1 << 20 and (place / "small.initrd").stat().st_size > 1 << 20
    assert not any("qemu-" in name for name in files)
    assert not any(name.endswith("-0.1-old") for name in files)
