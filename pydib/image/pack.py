"""Outputs that are made of the tree, not of the disk: tar, tgz, squashfs (contract C-230 to C-233)."""

from __future__ import annotations

from pathlib import Path

from pydib.errors import CommandFailed, ImageError
from pydib.host.command import run

NOT_PACKED = ("proc", "sys", "dev", "tmp/in_target.d")
"""Folders whose content belongs to the build host or the kernel; the empty folders themselves are packed."""


def pack(tree: Path, target: Path, *, kind: str, gzip: str = "gzip") -> None:
    """Make the archive `target` of format `kind` (tar, tgz or squashfs) from `tree`: owners by number, with
    extended attributes, without lost+found.

    Args:
        gzip: the program that compresses a tgz (DIB_GZIP_BIN).

    Raises:
        ImageError: the packing program failed.
    """
    try:
        if kind == "squashfs":
            _squashfs(tree, target)
        else:
            _tar(tree, target, compress_with=gzip if kind == "tgz" else "")
    except CommandFailed as error:
        hint = f"make room on the disk of {target.parent}" if "No space left" in error.output else ""
        raise ImageError(f"the {kind} output could not be made: {error.what}", where=str(target), hint=hint) from None


def _tar(tree: Path, target: Path, *, compress_with: str) -> None:
    excluded = [f"--exclude=./{name}/*" for name in NOT_PACKED] + ["--exclude=./lost+found"]
    how = [f"--use-compress-program={compress_with} -9"] if compress_with else []
    run("tar", "--create", "--file", target, "--directory", tree, "--numeric-owner", "--xattrs",
        "--xattrs-include=*", "--sparse", "--wildcards", "--anchored", *how, *excluded, ".")


def _squashfs(tree: Path, target: Path) -> None:
    run("mksquashfs", tree, target, "-noappend", "-no-progress", "-comp", "xz", "-wildcards", "-e",
        *(f"{name}/*" for name in NOT_PACKED), *(f"{name}/.*" for name in NOT_PACKED), "lost+found")
