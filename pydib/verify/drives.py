"""Disks that a machine gets beside its image: the drive with what a cloud tells it, and empty volumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydib.errors import RecipeError
from pydib.host.command import run
from pydib.sizes import MIB
from pydib.verify.qemu import Drive
from pydib.verify.seed import LABELS, Kind, Seed, contents

_SMALLEST_BYTES = 8 * MIB


def seed_drive(kind: Kind, seed: Seed, folder: Path) -> Drive:
    """A FAT filesystem with `seed` in it, made in `folder` without mounting anything.

    Raises:
        ToolMissing: mkfs.vfat or mcopy is not installed.
        CommandFailed: one of them failed.
    """
    files = contents(kind, seed)
    image = folder / f"{kind}.raw"
    with image.open("wb") as file:
        file.truncate(max(_SMALLEST_BYTES, 2 * sum(map(len, files.values()))) // MIB * MIB + MIB)
    run("mkfs.vfat", "-n", LABELS[kind], image)
    tree = folder / kind
    _write(files, tree)
    run("mcopy", "-s", "-i", image, *sorted(tree.iterdir()), "::")
    return Drive(path=image, format="raw", snapshot=False)


def _write(files: Mapping[str, bytes], tree: Path) -> None:
    for name, data in files.items():
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def empty_volume(number: int, size_bytes: int, folder: Path) -> Drive:
    """A volume with nothing on it, in `folder`; it takes only the space that is written to."""
    if size_bytes < MIB:
        raise RecipeError(f"a volume of {size_bytes} bytes is too small", where="--volume",
                          hint="for example --volume 1GiB")
    path = folder / f"volume{number}.raw"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return Drive(path=path, format="raw", snapshot=False)
