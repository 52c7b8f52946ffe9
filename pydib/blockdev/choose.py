"""Which block-device configuration a build uses (contract C-205). Only reads files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import BlockDeviceConfigError

DEFAULT_CONFIG = """\
- local_loop:
    name: image0
    mkfs:
      name: mkfs_root
      mount:
        mount_point: /
        fstab:
          options: defaults
          fsck-passno: 1
"""
DEFAULT_WHERE = "the built-in configuration"
_FILE_SCHEME = "file://"
_FILE_ARCH = {"ppc64le": "ppc64el"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The text of a configuration, where it comes from (a path or a variable), and what a user should know."""

    text: str
    where: str
    warnings: tuple[str, ...] = ()


def choose(given: str, *, elements: Sequence[Path], arch: str) -> Choice:
    """The configuration of a build.

    What DIB_BLOCK_DEVICE_CONFIG holds goes first: text, or `file://` and a path. Then the first element with
    `block-device-<arch>.yaml` or, in the same element, `block-device-default.yaml`. Else one filesystem on the
    whole image.

    Args:
        given: DIB_BLOCK_DEVICE_CONFIG; empty when it is not set.
        elements: directories of the elements, in their order. When several have a configuration the first wins,
            and a warning names the others.
        arch: ARCH; ppc64le looks for ppc64el.

    Raises:
        BlockDeviceConfigError: the file that was named, or chosen, cannot be read.
    """
    if given.startswith(_FILE_SCHEME):
        path = Path(given.removeprefix(_FILE_SCHEME))
        return Choice(text=_read(path, "DIB_BLOCK_DEVICE_CONFIG names it"), where=str(path))
    if given.strip():
        return Choice(text=given, where="DIB_BLOCK_DEVICE_CONFIG")
    found = [path for path in (_in_element(directory, arch) for directory in elements) if path]
    if not found:
        return Choice(text=DEFAULT_CONFIG, where=DEFAULT_WHERE)
    others = ", ".join(path.parent.name for path in found[1:])
    warning = (f"elements {found[0].parent.name} and {others} have a block-device configuration; "
               f"that of {found[0].parent.name} is used") if others else ""
    return Choice(text=_read(found[0], "an element brings it"), where=str(found[0]),
                  warnings=(warning,) if warning else ())


def _in_element(directory: Path, arch: str) -> Path | None:
    names = (f"block-device-{_FILE_ARCH.get(arch, arch)}.yaml", "block-device-default.yaml")
    return next((directory / name for name in names if (directory / name).is_file()), None)


def _read(path: Path, why: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise BlockDeviceConfigError(f"the block-device configuration cannot be read: {problem.strerror}",
                                     where=str(path), hint=f"{why}: check the path and its permissions") from None
    except UnicodeDecodeError:
        raise BlockDeviceConfigError("the block-device configuration is not UTF-8 text", where=str(path),
                                     hint="save it as UTF-8") from None
