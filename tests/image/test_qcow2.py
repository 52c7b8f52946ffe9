"""Compressed qcow2 of our own making, as QEMU's tools see it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from pydib.errors import ImageError
from pydib.host.command import run
from pydib.image import qcow2
from pydib.image.qcow2 import write_compressed

MIB = 1 << 20
KINDS = pytest.mark.parametrize("kind", ["zlib", "zstd"])


def disk(place: Path, size: int, *pieces: tuple[int, bytes]) -> Path:
    """A sparse raw image with those pieces at their places."""
    path = place / "disk.raw"
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    return path


def check(raw: Path, made: Path, kind: str) -> None:
    """QEMU finds no error, and the same content."""
    told = json.loads(run("qemu-img", "check", "--output=json", made))
    assert told.get("corruptions", 0) == told.get("leaks", 0) == told["check-errors"] == 0
    assert "Images are identical." in run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, made)
    facts = json.loads(run("qemu-img", "info", "--output=json", made))
    assert facts["format-specific"]["data"]["compression-type"] == kind
    assert facts["virtual-size"] == -(-raw.stat().st_size // 512) * 512


def mixed(seed: int) -> bytes:
    """What can be compressed, what cannot, and zeros."""
    dice = random.Random(seed)
    return b"".join(dice.choice((dice.randbytes(70_000), b"pydib " * 20_000, bytes(150_000), b"x", dice.randbytes(9)))
                    for _ in range(60))


@KINDS
def test_all_kinds_of_content(tmp_path: Path, kind: str) -> None:
    raw = disk(tmp_path, 1200 * MIB + 777, (0, mixed(1)), (600 * MIB + 5, mixed(2)), (1199 * MIB, mixed(3)))
    write_compressed(raw, tmp_path / "a.qcow2", compression=kind)
    check(raw, tmp_path / "a.qcow2", kind)
    write_compressed(raw, tmp_path / "b.qcow2", compression=kind)
    assert (tmp_path / "a.qcow2").read_bytes() == (tmp_path / "b.qcow2").read_bytes()


@KINDS
@pytest.mark.parametrize("size", [0, 1, 512, 65_536, 65_537, 512 * MIB, 512 * MIB + 512])
def test_sizes_at_the_edges(tmp_path: Path, kind: str, size: int) -> None:
    raw = disk(tmp_path, size, *([(size - 1, b"x")] if size else []))
    write_compressed(raw, tmp_path / "a.qcow2", compression=kind)
    check(raw, tmp_path / "a.qcow2", kind)


@KINDS
def test_many_blocks_of_reference_counts(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With clusters of 512 bytes a block counts 256 clusters, and the table of blocks has several clusters, too."""
    for name, value in {"CLUSTER_BITS": 9, "CLUSTER": 512, "_ENTRIES": 64, "_COUNTS": 256, "_SECTORS_SHIFT": 61,
                        "_ZEROS": bytes(512)}.items():
        monkeypatch.setattr(qcow2, name, value)
    raw = disk(tmp_path, 30 * MIB, (0, os.urandom(10 * MIB)), (20 * MIB, mixed(4)))
    write_compressed(raw, tmp_path / "a.qcow2", compression=kind)
    check(raw, tmp_path / "a.qcow2", kind)


def test_a_full_disk_is_told() -> None:
    with pytest.raises(ImageError, match="No space left on device") as caught:
        write_compressed(Path("/bin/sh"), Path("/dev/full"), compression="zlib")
    assert "make room" in caught.value.hint
