"""What a disk image is as a file, before anybody looks into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import CommandFailed, InputError
from pydib.host.command import run

SECTOR_BYTES = 512


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A disk image. `path` is absolute; `virtual_size` is what a machine sees, `disk_size` what the file takes up,
    both in bytes; `format` is qemu's name for it, such as `qcow2`."""

    path: Path
    format: str
    virtual_size: int
    disk_size: int


def image_file(path: Path) -> ImageFile:
    """The image at `path`.

    Raises:
        InputError: nothing readable is there, or it is not a disk image. Any file could be a raw image; one that is
            empty or no whole number of sectors is not.
        ToolMissing: there is no qemu-img.
    """
    _check_readable(path)
    try:
        answer = json.loads(run("qemu-img", "info", "--force-share", "--output=json", path.absolute()))
    except CommandFailed as error:
        raise InputError(f"the disk image cannot be read: {_last_line(error.output)}", where=str(path),
                         hint="look whether it is complete and not another kind of file") from None
    size = int(answer["virtual-size"])
    if answer["format"] == "raw" and (size == 0 or path.stat().st_size % SECTOR_BYTES):
        raise InputError("this file is not a disk image", where=str(path), hint=_WANTED)
    return ImageFile(path=path.absolute(), format=answer["format"], virtual_size=size,
                     disk_size=int(answer["actual-size"]))


_WANTED = "name a disk image, for instance one that `pydib build` wrote (qcow2, raw, vmdk, vdi, vhd)"


def _check_readable(path: Path) -> None:
    try:
        if not path.is_file():
            raise InputError("there is no such disk image" if not path.exists() else "this is not a file",
                             where=str(path), hint=_WANTED)
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"the disk image cannot be read: {error.strerror}", where=str(path),
                         hint="check the permissions of the file and of the directories above it") from None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "qemu-img said nothing"
