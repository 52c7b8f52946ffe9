"""The raw file of an image: where it lies, and how it comes to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydib.blockdev.nodes import LocalLoop
from pydib.errors import BlockDeviceError


def image_path(node: LocalLoop, image_dir: Path) -> Path:
    """The file of the image `node`."""
    return (node.directory or image_dir) / f"{node.name}.raw"


@contextmanager
def sparse_file(path: Path, size_bytes: int) -> Iterator[Path]:
    """A new file of zeros that takes no room; it stays, unless the block fails.

    Raises:
        BlockDeviceError: it cannot be made.
    """
    try:
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.truncate(size_bytes)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise BlockDeviceError(f"the image file cannot be made: {problem.strerror}", where=str(path),
                               hint="check that the directory exists, is writable and can hold large files") from None
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise
