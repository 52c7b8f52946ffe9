"""Disk image formats, through qemu-img (contract C-232, C-017)."""

from __future__ import annotations

import os
from pathlib import Path

from pydib.errors import CommandFailed, ImageError
from pydib.host.command import run
from pydib.image.qcow2 import can_write, write_compressed

COROUTINES = "16"
_SAID_ANYWAY = ("", "compat=1.1", "compat=v3")
"""Options that say what a qcow2 of ours is without them."""


def qcow2_options(*, compress: bool, compression: str, given: str) -> str:
    """The value of qemu-img's `-o` for qcow2; the user's options win.

    zstd needs qcow2 version 3, so an explicit `compat=0.10` keeps zlib (qemu-img(1)).
    """
    names = {part.partition("=")[0].strip() for part in given.split(",")}
    old = any(part.strip() in ("compat=0.10", "compat=v2") for part in given.split(","))
    ours = []
    if compress and compression == "zstd" and not old and "compression_type" not in names:
        ours.append("compression_type=zstd")
    return ",".join([*ours, *([given] if given else [])])


def convert_argv(source: Path, target: Path, *, kind: str, compress: bool, compression: str, options: str
                 ) -> list[str]:
    """The qemu-img command that makes `target` of format `kind` from the raw image `source`.

    `-m` works on many clusters at once. They are written in their order: `-W` would put each where it finds room when
    it is ready, which is faster, and gives another file every time.
    """
    argv = ["qemu-img", "convert", "-f", "raw", "-O", kind, "-m", COROUTINES]
    if kind == "qcow2":
        if compress:
            argv.append("-c")
        options = qcow2_options(compress=compress, compression=compression, given=options)
    if options:
        argv += ["-o", options]
    return [*argv, str(source), str(target)]


def convert(source: Path, target: Path, *, kind: str, compress: bool, compression: str = "zlib", options: str = ""
            ) -> None:
    """Make `target` of format `kind` from the raw image `source`. A compressed qcow2 without options that only qemu-img
    knows is written by ourselves, which takes all cores.

    Raises:
        ImageError: qemu-img refused, for instance an unknown format, or a full disk.
    """
    if kind == "qcow2" and compress and options in _SAID_ANYWAY and can_write(compression):
        write_compressed(source, target, compression=compression)
        return
    argv = convert_argv(source, target, kind=kind, compress=compress, compression=compression, options=options)
    try:
        run(*argv)
    except CommandFailed as error:
        hint = "`qemu-img --help` lists the formats that -t can name"
        if "No space left" in error.output:
            hint = f"make room on the disk of {target.parent}"
        raise ImageError(f"the {kind} image could not be made: {error.what}", where=str(target), hint=hint) from None


def take_raw(source: Path, target: Path) -> None:
    """Move the raw image to `target`, sparse; across filesystems it is copied.

    Raises:
        ImageError: the disk is full, or not writable.
    """
    try:
        os.rename(source, target)
    except OSError:
        try:
            run("cp", "--sparse=always", "--reflink=auto", "--", source, target)
        except CommandFailed as error:
            raise ImageError(f"the raw image could not be written: {error.what}", where=str(target),
                             hint=f"make room on the disk of {target.parent}") from None
