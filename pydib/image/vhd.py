"""VHD images (contract C-234): with vhd-util as DIB makes them, else with qemu-img."""

from __future__ import annotations

from pathlib import Path

from pydib.errors import CommandFailed, ImageError
from pydib.host.command import find_tool, run
from pydib.image.convert import convert

RAW, FIXED, DYNAMIC = "0", "1", "2"
"""vhd-util's numbers for formats."""

DEFAULTS = {"subformat": "dynamic", "force_size": "on"}
"""qemu-img's options for vpc. Without `force_size` the disk would grow to the next size that has a CHS geometry."""


def make_vhd(source: Path, target: Path, *, options: str = "") -> None:
    """Make the dynamic VHD `target` from the raw image `source`.

    Args:
        options: qemu-img options; those that only other formats know are passed over, and vhd-util takes none.

    Raises:
        ImageError: the program failed, for instance on a full disk.
    """
    if find_tool("vhd-util") is None:
        convert(source, target, kind="vpc", compress=False, options=vpc_options(options))
        return
    try:
        _with_vhd_util(source, target)
    except CommandFailed as error:
        hint = f"make room on the disk of {target.parent}" if "No space left" in error.output else ""
        raise ImageError(f"the vhd image could not be made: {error.what}", where=str(target), hint=hint) from None


def vpc_options(given: str) -> str:
    """Of `given` what qemu-img's vpc format knows, and our defaults for the rest.

    >>> vpc_options("compat=1.1,subformat=fixed")
    'subformat=fixed,force_size=on'
    """
    pairs = (part.partition("=") for part in given.split(","))
    ours = {name.strip(): value for name, _, value in pairs if name.strip() in DEFAULTS}
    return ",".join(f"{name}={value}" for name, value in {**DEFAULTS, **ours}.items())


def _with_vhd_util(source: Path, target: Path) -> None:
    """Two steps, since vhd-util makes a dynamic VHD from a fixed one only; the first works in place, on a copy."""
    fixed = target.with_name(target.name + "-intermediate")
    try:
        run("cp", "--sparse=always", "--reflink=auto", "--", source, fixed)
        run("vhd-util", "convert", "-s", RAW, "-t", FIXED, "-i", fixed, "-o", fixed)
        run("vhd-util", "convert", "-s", FIXED, "-t", DYNAMIC, "-i", fixed, "-o", target)
    finally:
        for left in (fixed, fixed.with_name(fixed.name + ".bak")):
            left.unlink(missing_ok=True)
