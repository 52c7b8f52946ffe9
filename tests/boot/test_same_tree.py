"""The tree that pydib makes of DIB's own elements is the tree that DIB makes of them, from the same mirror."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from benchmarks import oracle

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

REASONS = {
    r"^dev/": "DIB packs the device nodes of the build host (C-230)",
    r"^(proc|sys)$": "DIB leaves out the empty folders, too; a system does not start without them (C-230)",
    r"^lost\+found": "DIB packs the filesystem's own folder",
    r"^var/cache/": "caches with times and orders of the very build (ldconfig, debconf, apt, man)",
    r"^var/lib/apt/|^var/log/|^var/lib/dpkg/": "logs, lists and databases with the time of the build",
    r"^etc/dib-manifests": "the manifest holds the caller's variables and paths",
    r"^boot/initrd|^boot/grub": "holds times, and the filesystem's UUID",
    r"^usr/lib/.*/__pycache__/|^usr/share/.*/__pycache__/": "byte code holds the time of its source",
    r"^etc/(ld\.so\.cache|passwd-|group-|shadow-?|gshadow-?)$": "backups and days of the very build",
    r"^etc/ssh/ssh_host_|^etc/ssl/|^var/lib/(ca-certificates|systemd)": "made anew in every build",
    r"^lib/modules/.*/modules\.": "depmod's index in the order in which the folders were read",
    r"^etc/iscsi/initiatorname": "made anew in every build",
}


def environment(cache: Path) -> dict[str, str]:
    env = {**os.environ, "DIB_RELEASE": "bookworm", "DIB_IMAGE_CACHE": str(cache),
           "ELEMENTS_PATH": str(oracle.elements_folder())}
    if mirror := oracle.security_mirror():
        env["DIB_DEBIAN_SECURITY_MIRROR"] = mirror
    return env


def build(argv: list[str], env: dict[str, str], cwd: Path) -> None:
    done = subprocess.run(argv, env=env, cwd=cwd, text=True, capture_output=True, check=False, errors="replace",
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def contents(archive: Path) -> dict[str, tuple[object, ...]]:
    """What is compared of each file: kind, mode, owner, link and size."""
    found: dict[str, tuple[object, ...]] = {}
    sizes: dict[str, int] = {}
    with tarfile.open(archive) as members:
        for member in members:
            name = member.name.removeprefix("./")
            # which of several hard links comes first is chance; the others refer to it
            size = sizes[member.linkname.removeprefix("./")] if member.islnk() else member.size
            sizes[name] = size
            kind = b"0" if member.islnk() else member.type
            found[name] = (kind, member.mode, member.uid, member.gid, member.linkname if member.issym() else "", size)
    return found


def packages(archive: Path) -> list[str]:
    with tarfile.open(archive) as members:
        status = members.extractfile("./var/lib/dpkg/status")
        assert status is not None
        text = status.read().decode()
    return sorted(re.findall(r"^Package: (.*)$.*?^Version: (.*)$", text, re.M | re.S))


@pytest.mark.contract("C-230")
def test_both_trees_are_the_same_but_for_a_reasoned_list(tmp_path: Path) -> None:
    env = environment(tmp_path / "cache")
    line = ["-t", "tar", "debian-minimal", "vm"]
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    build(oracle.command("-o", str(tmp_path / "theirs"), *line), env, tmp_path)
    build([sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as d; d()", "-o",
           str(tmp_path / "ours"), *line], env, tmp_path)
    assert packages(ours) == packages(theirs)
    left, right = contents(ours), contents(theirs)
    differing = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    unexplained = {name: (left.get(name), right.get(name)) for name in differing
                   if not any(re.search(pattern, name) for pattern in REASONS)}
    assert unexplained == {}
    assert len(left) > 10_000
