"""The baseline: diskimage-builder from PyPI, in a virtual environment of its own, kept in a cache folder.

Where the kernel has no device-mapper, DIB's kpartx and dmsetup cannot work; two stand-ins, mounted over them in a
private mount namespace, then map partitions with partx, which costs DIB nothing that it would not spend otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

VERSION = "3.43.0"
STAND_INS = Path(__file__).resolve().parent / "stand-ins"


def environment_folder() -> Path:
    """Where the oracle is installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "pydib-oracle" / VERSION


def install() -> Path:
    """Install the oracle if it is not there yet; gives its virtual environment."""
    folder = environment_folder()
    if not (folder / "bin" / "disk-image-create").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", f"diskimage-builder=={VERSION}"], check=True)
    return folder


def elements_folder() -> Path:
    """The oracle's own elements."""
    found = sorted(install().glob("lib/python3*/site-packages/diskimage_builder/elements"))
    return found[0]


def command(*arguments: str) -> list[str]:
    """A command line that runs the oracle's disk-image-create on this machine."""
    return with_partitions([str(install() / "bin" / "disk-image-create"), *arguments])


def with_partitions(program: Sequence[str]) -> list[str]:
    """A command line that runs a program which calls kpartx and dmsetup on this machine."""
    if "device-mapper" in Path("/proc/misc").read_text().split():
        return list(program)
    script = 'set -e; stand_ins=$1; shift; for name in kpartx dmsetup; do path=$(command -v "$name" || true); ' \
             'if [ -n "$path" ]; then mount --bind "$stand_ins/$name" "$(readlink -f "$path")"; fi; done; exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "oracle", str(STAND_INS), *program]


def mirror() -> str:
    """The archive that apt on this machine uses; DIB's Debian element would take one of its own."""
    return _archive("Debian")


def security_mirror() -> str:
    """The security archive that apt on this machine uses."""
    return _archive("Debian-Security")


def _archive(label: str) -> str:
    """The first archive of that label in apt's sources; empty when apt knows none."""
    command = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, text=True, capture_output=True, check=False).stdout
    found = [line.split()[-1] for line in listed.splitlines() if line.split()[:1] == [label]]
    return found[0].rstrip("/") if found else ""


def check() -> None:
    """End with a message if the oracle cannot run here."""
    if os.geteuid() != 0:
        sys.exit("benchmarks: comparing with DIB needs root")
    if shutil.which("unshare") is None:
        sys.exit("benchmarks: unshare is missing; apt-get install util-linux")
