"""What a build would find out only after minutes, found out before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pydib.element.shelf import Shelf
from pydib.errors import RecipeError
from pydib.trove import classic
from pydib.trove.datastores import Guest

WHEEL_ARCHITECTURES = ("amd64", "arm64")
PYTHONS: Mapping[str, tuple[int, int]] = {
    "trusty": (3, 4), "xenial": (3, 5), "bionic": (3, 6), "focal": (3, 8), "jammy": (3, 10), "noble": (3, 12),
    "buster": (3, 7), "bullseye": (3, 9), "bookworm": (3, 11), "trixie": (3, 13),
}
"""The Python of releases of Debian and Ubuntu."""
AGENTS_PYTHON = (3, 11)
"""The oldest that trove 26 runs under, and the only one that trove 13.0.1 was seen to run under."""


def before_work(guest: Guest, names: Collection[str], shelf: Shelf, environment: Mapping[str, str], arch: str) -> None:
    """Look at everything that elements will ask for.

    Args:
        names: all elements of the build.
        environment: what they are told, with Trove's variables.

    Raises:
        RecipeError: what is missing, or wrong.
    """
    if "datastore-package" in names:
        _package(guest, environment.get("DATASTORE_PKG_LOCATION", ""))
    images = environment.get("TROVE_CONTAINER_IMAGES", "")
    if guest.contained and not Path(images).exists():
        raise RecipeError(f"{images} is not there", where="--containers (TROVE_CONTAINER_IMAGES)",
                          hint="write it: docker save IMAGE:TAG >images.tar")
    folder = environment.get("DIB_APT_CONF_DIR", "")
    if "apt-conf-dir" in names and folder and not Path(folder).is_dir():
        raise RecipeError(f"{folder} is no folder", where="--apt-conf-dir (DIB_APT_CONF_DIR)",
                          hint="name one such as /etc/apt/apt.conf.d")
    if "guest-agent" in names and environment.get("TROVE_AGENT") != "none":
        _classic(guest, environment["TROVE_VERSION"])
        _python(guest, environment["TROVE_VERSION"])
        _agent(shelf["guest-agent"].path / "guest-agent" / "requirements", environment["TROVE_VERSION"], arch)


def _package(guest: Guest, location: str) -> None:
    where = "--package-location (DATASTORE_PKG_LOCATION)"
    if not location:
        raise RecipeError(f"{guest.datastore} on {guest.distro} is installed from a package that you have", where=where,
                          hint=f"download it, and name it: --package-location {guest.datastore}.deb")
    if not Path(location).exists():
        raise RecipeError(f"{location} is not there", where=where, hint="name a package, or a folder of packages")


def _classic(guest: Guest, version: str) -> None:
    if not classic.is_classic(version):
        return
    if guest.contained:
        raise RecipeError(f"trove {version} runs no database in a container", where="--containers",
                          hint="leave it out, or build with a later --trove-version")
    if guest.has_manager:
        classic.told(guest.datastore, version)


def _python(guest: Guest, version: str) -> None:
    python = PYTHONS.get(guest.release, AGENTS_PYTHON)
    wanted = ".".join(map(str, AGENTS_PYTHON))
    if python < AGENTS_PYTHON or (classic.is_classic(version) and python > AGENTS_PYTHON):
        having = ", ".join(name for name, each in PYTHONS.items()
                           if each == AGENTS_PYTHON or (each > AGENTS_PYTHON and not classic.is_classic(version)))
        raise RecipeError(f"trove {version} needs Python {wanted}, and {guest.distro} {guest.release} has "
                          f"{'.'.join(map(str, python))}", where="--release (RELEASE)",
                          hint=f"use one of {having}, or --agent none")


def _agent(requirements: Path, version: str, arch: str) -> None:
    known = sorted(path.stem for path in requirements.glob("[0-9]*.txt"))
    if known and version not in known:
        raise RecipeError(f"there is no set of pinned packages for trove {version}",
                          where="--trove-version (TROVE_VERSION)", hint=f"use {' or '.join(known)}")
    if known and arch not in WHEEL_ARCHITECTURES:
        raise RecipeError(f"the guest agent's packages are not made for {arch}", where="--arch",
                          hint=f"use {' or '.join(WHEEL_ARCHITECTURES)}, or --agent none")
