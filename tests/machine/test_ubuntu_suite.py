"""An Ubuntu, as far as one can be had without Ubuntu's archive: Debian's packages, published anew under Ubuntu's suites
and components with a key of the test's own, on the loopback address. The real mmdebstrap bootstraps from it."""

from __future__ import annotations

import email.utils
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pydib import paths
from pydib.host.command import find_tool
from tests.served import served

pytestmark = pytest.mark.machine

SUITE = "noble"
COMPONENTS = ("main", "universe")
UNIVERSE = {"zstd", "curl", "less"}
"""Packages that are asked for, so both components are read."""
ONLY_UBUNTUS = ("linux-image-generic", "busybox-initramfs")
"""Names that Debian does not have: an empty package stands for each."""


@dataclass(frozen=True)
class Archive:
    """Where the suites are served, and the key that they are signed with."""

    address: str
    key: Path


def wanted_packages() -> list[str]:
    """What ubuntu-minimal, and the elements that it needs, ask for."""
    shown = 'for file in "$@"; do . "$file"; done; echo $DIB_BOOTSTRAP_PACKAGES'
    files = [path for name in ("ubuntu-common", "ubuntu-minimal", "debootstrap")
             for path in sorted((paths.elements_dir() / name / "environment.d").iterdir())]
    asked = subprocess.run(["bash", "-euc", shown, "bash", *files], env={"PATH": os.environ["PATH"]}, check=True,
                           text=True, capture_output=True).stdout.split()
    return sorted(set(asked) - set(ONLY_UBUNTUS))


def download(packages: list[str], folder: Path) -> None:
    """Put the files of `packages`, and of all that they and a minimal system need, into `folder`."""
    (folder / "partial").mkdir(parents=True)
    (folder / "status").touch()
    subprocess.run(["apt-get", "-qq", "-y", "--no-install-recommends", "-o", f"Dir::State::status={folder / 'status'}",
                    "-o", f"Dir::Cache::archives={folder}", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
                    "--download-only", "install", "?essential", "?priority(required)", "apt", *packages],
                   check=True, stdin=subprocess.DEVNULL)


def empty_package(name: str, place: Path) -> None:
    """A package of that name with nothing in it."""
    control = place / name / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@suite.test>\n"
                       "Description: stands for Ubuntu's\n")
    subprocess.run(["dpkg-deb", "--build", control.parent.parent, place / f"{name}_1_all.deb"], check=True,
                   capture_output=True)
    shutil.rmtree(place / name)


def entry(package: Path, place: str) -> str:
    """A package's part of an index of packages (Debian repository format)."""
    fields = subprocess.run(["dpkg-deb", "--field", package], check=True, text=True, capture_output=True).stdout
    data = package.read_bytes()
    return f"{fields}Filename: {place}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"


def publish(packages: Path, served: Path, home: Path) -> None:
    """Lay out pool and suites below `served`, signed by the key in GnuPG's directory `home`."""
    index = dict.fromkeys(COMPONENTS, "")
    for package in sorted(packages.glob("*.deb")):
        component = "universe" if package.name.partition("_")[0] in UNIVERSE else "main"
        place = f"pool/{component}/{package.name.replace('%3a', ':')}"
        (served / place).parent.mkdir(parents=True, exist_ok=True)
        package.rename(served / place)
        index[component] += entry(served / place, place)
    assert all(index.values())
    for suite in (SUITE, f"{SUITE}-updates", f"{SUITE}-security"):
        sums = []
        for component in COMPONENTS:
            plain = (index[component] if suite == SUITE else "").encode()
            for name, data in (("Packages", plain), ("Packages.xz", lzma.compress(plain, preset=0))):
                file = served / "dists" / suite / component / "binary-amd64" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
                sums.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {component}/binary-amd64/{name}\n")
        release = served / "dists" / suite / "Release"
        release.write_text(f"Origin: Ubuntu\nLabel: Ubuntu\nSuite: {suite}\nCodename: {SUITE}\n"
                           f"Date: {email.utils.formatdate(usegmt=True)}\nArchitectures: amd64\n"
                           f"Components: {' '.join(COMPONENTS)}\nSHA256:\n{''.join(sums)}")
        gpg(home, "--clear-sign", "--output", release.with_name("InRelease"), release)


def new_key(name: str, place: Path) -> Path:
    """A key's public half, alone in a folder; the private one is in `place/NAME`, a directory of GnuPG's."""
    home, public = place / name, place / f"{name}-key/{name}.gpg"
    home.mkdir(mode=0o700)
    public.parent.mkdir()
    gpg(home, "--quick-generate-key", f"{name}@suite.test", "ed25519", "sign", "never")
    gpg(home, "--output", public, "--export", f"{name}@suite.test")
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    return public


def gpg(home: Path, *arguments: str | Path) -> None:
    subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", *arguments], check=True,
                   capture_output=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The archive, for as long as the tests of this file last."""
    for tool in ("mmdebstrap", "gpg", "apt-get", "dpkg-deb"):
        assert find_tool(tool), f"{tool} is not installed; `make setup` brings it"
    place = tmp_path_factory.mktemp("suite")
    key = new_key("ubuntu", place)
    download(wanted_packages(), place / "packages")
    for name in ONLY_UBUNTUS:
        empty_package(name, place / "packages")
    publish(place / "packages", place / "served", place / "ubuntu")
    subprocess.run(["gpgconf", "--homedir", place / "ubuntu", "--kill", "all"], check=False)
    with served(place / "served") as address:
        yield Archive(address, key)


def build(archive: Archive, key: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Build ubuntu-minimal from the archive, trusting `key`; the image is `ubuntu.tar` in `place`."""
    env = {**{name: value for name, value in os.environ.items() if not name.startswith("DIB_")},
           "DIB_DISTRIBUTION_MIRROR": archive.address, "DIB_UBUNTU_MIRROR_DISTS": "updates,security",
           "DIB_APT_KEYRING": str(key), "DIB_ADD_APT_KEYS": str(key.parent), "DIB_IMAGE_CACHE": str(place / "cache"),
           "TMPDIR": str(place)}
    command = [sys.executable, "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "-t", "tar",
               "--no-cache", "--progress", "lines", "-o", place / "ubuntu", "ubuntu-minimal"]
    return subprocess.run(command, env=env, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.proves("ubuntu-minimal", "ubuntu-common", how="real run")
def test_mmdebstrap_makes_an_ubuntu(archive: Archive, tmp_path: Path) -> None:
    done = build(archive, archive.key, tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-4000:]
    with tarfile.open(tmp_path / "ubuntu.tar") as tree:
        names = tree.getnames()
        sources = {suite: content(tree, f"etc/apt/sources.list.d/{suite}.list") for suite in
                   ("default", "updates", "security")}
        status, ipv6 = content(tree, "var/lib/dpkg/status"), content(tree, "etc/sysctl.d/99-cloudimg-ipv6.conf")
    assert sources == {
        "default": f"deb {archive.address} noble main universe\n",
        "updates": f"deb {archive.address} noble-updates main universe\n",
        "security": f"deb {archive.address} noble-security main universe\n"}
    installed = set(re.findall(r"^Package: (.+)\nStatus: install ok installed$", status, re.MULTILINE))
    assert {*wanted_packages(), *ONLY_UBUNTUS} <= installed
    assert "use_tempaddr = 0" in ipv6
    assert "./usr/lib/systemd/systemd" in names and "./usr/sbin/policy-rc.d" not in names


def content(tree: tarfile.TarFile, name: str) -> str:
    """The text of a file of the image."""
    opened = tree.extractfile(f"./{name}")
    assert opened
    return opened.read().decode()


def test_a_suite_that_another_key_has_signed_is_not_trusted(archive: Archive, tmp_path: Path) -> None:
    done = build(archive, new_key("other", tmp_path), tmp_path)
    assert done.returncode != 0 and "NO_PUBKEY" in done.stdout + done.stderr
    assert not (tmp_path / "ubuntu.tar").exists()
