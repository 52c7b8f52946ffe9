"""Other ways to a Debian image: the bare tools one after another, which is the least that any builder can take, and
vmdb2 where it is installed.

`python -m benchmarks.peers NAME FOLDER PACKAGES ARCHIVES` makes `FOLDER/disk.qcow2` of the packages that the file
PACKAGES names, one a line, in the release DIB_RELEASE from the mirror DIB_DISTRIBUTION_MIRROR, else the one that apt on
this machine uses. Neither of them writes users, hostnames or fstab; the bare tools do not even install a boot loader.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from benchmarks import oracle
from benchmarks.assembly import to_qcow2, tools
from benchmarks.harness import Failed
from pydib.sizes import KIB, image_size_kib

RELEASE = "bookworm"


def packages_of(image: Path) -> list[str]:
    """Names of the packages in an image that was built with the element `manifests`, from the copy beside it.

    Raises:
        Failed: there is no such copy.
    """
    manifest = next(image.with_name(f"{image.name}.d").glob("dib-manifests/dib-manifest-dpkg-*"), None)
    if manifest is None:
        raise Failed(f"no list of packages lies in {image}.d; build with the element manifests")
    return [entry["package"] for entry in json.loads(manifest.read_text())["packages"]]


def by_hand(folder: Path, packages: Sequence[str], archives: Path) -> None:
    """mmdebstrap into memory, with all packages at once and the archives of the last run; then sfdisk, mke2fs -d, and
    qemu-img on all cores."""
    archives.mkdir(exist_ok=True)
    kept = 'cp "$1"/var/cache/apt/archives/*.deb "$ARCHIVES"'
    given = 'mkdir -p "$1/var/cache/apt/archives"; cp "$ARCHIVES"/*.deb "$1/var/cache/apt/archives" 2>/dev/null || true'
    with tempfile.TemporaryDirectory(prefix="pydib-bench-", dir="/dev/shm") as memory:
        tree, raw = Path(memory, "tree"), Path(memory, "disk.raw")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=essential", "--mode=root",
                        f"--include={','.join(packages)}", "--skip=essential/unlink,download/empty",
                        f"--setup-hook={given}", f"--customize-hook={kept}",
                        '--aptopt=Apt::Install-Recommends "false"', *(f"--aptopt={line}" for line in _validity()),
                        _release(), str(tree), *_sources()], check=True, env={**os.environ, "ARCHIVES": str(archives)})
        used = subprocess.run(["du", "--summarize", "--block-size=1K", tree], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        size = KIB * image_size_kib(tree_kib=int(used.split()[0]), given_gib=None, extra_mib=None, journal_mib=64,
                                    ext4_root=True, efi=False)
        tools(tree, raw, size)
        to_qcow2(raw, folder / "disk.qcow2")


def by_vmdb2(folder: Path, packages: Sequence[str], archives: Path) -> None:
    """vmdb2, and qemu-img on all cores. It keeps no archives: all are fetched, by debootstrap and apt."""
    raw = str(folder / "disk.raw")
    steps = [
        {"mkimg": raw, "size": "2G"},
        {"mklabel": "msdos", "device": raw},
        {"mkpart": "primary", "device": raw, "start": "1MiB", "end": "100%", "tag": "root"},
        {"kpartx": raw},
        {"mkfs": "ext4", "partition": "root"},
        {"mount": "root"},
        {"debootstrap": _release(), "mirror": _mirror(), "target": "root"},
        {"create-file": "/etc/apt/sources.list", "contents": "".join(f"{line}\n" for line in _sources())},
        {"create-file": "/etc/apt/apt.conf.d/99host", "contents": "".join(f"{line}\n" for line in _validity())},
        {"apt": "install", "tag": "root", "recommends": False, "packages": list(packages)},
        {"grub": "bios", "tag": "root"},
    ]
    spec = folder / "spec.yaml"
    spec.write_text(yaml.safe_dump({"steps": steps}))
    command = ["vmdb2", "--image", raw, "--log", str(folder / "log"), str(spec)]
    try:
        subprocess.run(oracle.with_partitions(command), check=True)
    except subprocess.CalledProcessError:
        subprocess.run(oracle.with_partitions(["kpartx", "-d", raw]), check=False)  # vmdb2 leaves the loop device
        raise
    to_qcow2(Path(raw), folder / "disk.qcow2")


def _release() -> str:
    return os.environ.get("DIB_RELEASE", RELEASE)


def _mirror() -> str:
    return os.environ.get("DIB_DISTRIBUTION_MIRROR") or oracle.mirror()


def _sources() -> Iterator[str]:
    """Lines of sources.list, as debian-minimal has them."""
    yield f"deb {_mirror()} {_release()} main"
    yield f"deb {_mirror()} {_release()}-updates main"
    if security := oracle.security_mirror():
        yield f"deb {security} {_release()}-security main"


def _validity() -> list[str]:
    """What apt on this machine holds of outdated lists; an archive here may be served late."""
    dumped = subprocess.run(["apt-config", "dump", "Acquire::Check-Valid-Until"], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return dumped.splitlines()


PEERS: dict[str, Callable[[Path, Sequence[str], Path], None]] = {"mmdebstrap": by_hand, "vmdb2": by_vmdb2}
"""By the program that each needs."""
NAMES = {"mmdebstrap": "mmdebstrap, mke2fs -d, qemu-img by hand", "vmdb2": "vmdb2, qemu-img"}


def installed() -> list[str]:
    """Those that can run here."""
    return [name for name in PEERS if shutil.which(name)]


def command_line(name: str, folder: Path, packages: Path, archives: Path) -> list[str]:
    """A command line that runs one of them (see this module)."""
    return [sys.executable, "-m", "benchmarks.peers", name, str(folder), str(packages), str(archives)]


if __name__ == "__main__":
    PEERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]).read_text().split(), Path(sys.argv[4]))
