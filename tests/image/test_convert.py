"""The qemu-img command lines, and one conversion for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pydib.errors import ImageError
from pydib.host.command import run
from pydib.image.convert import convert, convert_argv, take_raw


def options(**given: object) -> list[str]:
    defaults: dict[str, object] = {"kind": "qcow2", "compress": True, "compression": "zstd", "options": ""}
    return convert_argv(Path("a.raw"), Path("b"), **{**defaults, **given})  # type: ignore[arg-type]


def test_all_cores_work() -> None:
    assert "-m" in options()


@pytest.mark.parametrize(("given", "expected"), [
    ({}, ["-c", "-o", "compression_type=zstd"]),
    ({"compression": "zlib"}, ["-c"]),
    ({"compress": False}, []),
    ({"options": "compat=1.1"}, ["-c", "-o", "compression_type=zstd,compat=1.1"]),
    ({"options": "compat=0.10"}, ["-c", "-o", "compat=0.10"]),
    ({"options": "compression_type=zlib"}, ["-c", "-o", "compression_type=zlib"]),
    ({"kind": "vmdk", "options": "subformat=streamOptimized"}, ["-o", "subformat=streamOptimized"]),
])
def test_options_of_qemu_img(given: dict[str, object], expected: list[str]) -> None:
    argv = options(**given)
    assert argv[argv.index("-m") + 2: -2] == expected


@pytest.mark.parametrize(("compression", "kind"), [("zstd", "zstd"), ("zlib", "zlib")])
def test_a_converted_image_has_the_same_content(tmp_path: Path, compression: str, kind: str) -> None:
    raw = tmp_path / "a.raw"
    raw.write_bytes(b"pydib" * 100_000 + bytes(1 << 20))
    convert(raw, tmp_path / "a.qcow2", kind="qcow2", compress=True, compression=compression)
    facts = json.loads(run("qemu-img", "info", "--output=json", tmp_path / "a.qcow2"))
    assert facts["format-specific"]["data"]["compression-type"] == kind
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, tmp_path / "a.qcow2")


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(1024))
    with pytest.raises(ImageError, match="the lunar image could not be made"):
        convert(tmp_path / "a.raw", tmp_path / "a.lunar", kind="lunar", compress=False)


def test_a_raw_image_moves_and_stays_sparse(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as stream:
        stream.truncate(1 << 24)
    take_raw(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").stat().st_blocks == 0
