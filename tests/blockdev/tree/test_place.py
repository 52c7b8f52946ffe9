"""Filesystems put at their place in an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.blockdev.tree.place import place
from pydib.errors import BlockDeviceError
from pydib.sizes import MIB


def test_data_arrives_at_its_offset_and_holes_stay_holes(tmp_path: Path) -> None:
    source, image = tmp_path / "filesystem", tmp_path / "disk.raw"
    with source.open("wb") as file:
        file.truncate(200 * MIB)
        for at, text in ((0, b"first"), (100 * MIB, b"x" * 20 * MIB), (200 * MIB - 4, b"last")):
            file.seek(at)
            file.write(text)
    with image.open("wb") as file:
        file.truncate(300 * MIB)
        file.write(b"table")
    place(source, image, 9 * MIB)
    with image.open("rb") as file:
        assert file.read(5) == b"table"
        for at, text in ((0, b"first\0"), (100 * MIB - 1, b"\0x"), (120 * MIB - 1, b"x\0"), (200 * MIB - 4, b"last\0")):
            file.seek(9 * MIB + at)
            assert file.read(len(text)) == text
    assert image.stat().st_size == 300 * MIB
    assert image.stat().st_blocks * 512 < 40 * MIB


def test_an_image_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "filesystem").write_bytes(b"x")
    with pytest.raises(BlockDeviceError, match="cannot be written") as caught:
        place(tmp_path / "filesystem", tmp_path / "no/disk.raw", 0)
    assert "disk.raw" in caught.value.where
