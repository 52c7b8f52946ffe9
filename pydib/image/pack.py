"""Outputs that are made of the tree, not of the disk: tar, tgz, squashfs, aci (contract C-230 to C-234)."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydib.errors import CommandFailed, ImageError
from pydib.host.command import run

NOT_PACKED = ("proc", "sys", "dev", "tmp/in_target.d")
"""Folders whose content belongs to the build host or the kernel; the empty folders themselves are packed."""

_NOT_OF_THIS_RUN = "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"
"""The names of pax headers have tar's process number in them otherwise (tar(1)); access times are not the image's."""

ACI_ROOT = "rootfs"
ACI_MANIFEST = "manifest"


def pack(tree: Path, target: Path, *, kind: str, gzip: str = "gzip", manifest: Path | None = None,
         moment: int | None = None) -> None:
    """Make the archive `target` from `tree`: owners by number, with extended attributes, without lost+found, in the
    order of names.

    Args:
        kind: `tar`; `docker`, which is a tar that image/docker.py hands on; `tgz`; `squashfs`; or `aci`, a plain tar
            with the tree in the folder rootfs (appc specification, "App Container Image"; plain as DIB's).
        gzip: the program that compresses a tgz (DIB_GZIP_BIN).
        manifest: the image manifest of an aci; without one the archive holds the tree only.
        moment: no file says that it was changed after that, in seconds since 1970; None keeps all times.

    Raises:
        ImageError: the packing program failed, or the manifest cannot be read.
    """
    try:
        if kind == "squashfs":
            _squashfs(tree, target, moment)
        elif kind == "aci":
            _aci(tree, target, manifest, moment)
        else:
            _tar(tree, target, moment, *_compressed(gzip if kind == "tgz" else ""))
    except CommandFailed as error:
        hint = f"make room on the disk of {target.parent}" if "No space left" in error.output else ""
        raise ImageError(f"the {kind} output could not be made: {error.what}", where=str(target), hint=hint) from None


def _compressed(program: str) -> list[str]:
    return [f"--use-compress-program={program} -9"] if program else []


def _tar(tree: Path, target: Path, moment: int | None, *more: str | Path) -> None:
    """`more` are options, or operands after the tree's own `.`: tar(1) takes them in any order."""
    clamped = [f"--mtime=@{moment}", "--clamp-mtime"] if moment is not None else []
    excluded = [f"--exclude=./{name}/*" for name in NOT_PACKED] + ["--exclude=./lost+found"]
    run("tar", "--create", "--file", target, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sparse",
        "--sort=name", *clamped, _NOT_OF_THIS_RUN, "--wildcards", "--anchored", *excluded, "--directory", tree, ".",
        *more)


def _aci(tree: Path, target: Path, manifest: Path | None, moment: int | None) -> None:
    """Names of files and of hard links' targets move below rootfs; those of symbolic links (flag S) do not."""
    more: list[str | Path] = []
    if manifest is not None:
        copy = target.with_name(ACI_MANIFEST)
        _copy_manifest(manifest, copy)
        more = ["--directory", copy.parent, copy.name]
    _tar(tree, target, moment, rf"--transform=s,^\.\(/\|$\),{ACI_ROOT}\1,S", *more)


def _copy_manifest(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise ImageError(f"the image manifest cannot be read: {error.strerror}", where=str(source),
                         hint="ACI_MANIFEST must name the manifest of the container image") from None
    target.chmod(0o644)


def _squashfs(tree: Path, target: Path, moment: int | None) -> None:
    run("mksquashfs", tree, target, "-noappend", "-no-progress", "-comp", "xz", "-wildcards", "-e",
        *(f"{name}/*" for name in NOT_PACKED), *(f"{name}/.*" for name in NOT_PACKED), "lost+found",
        more_env={} if moment is None else {"SOURCE_DATE_EPOCH": str(moment)})
