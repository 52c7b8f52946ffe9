"""VHD images by either program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pydib.errors import ImageError
from pydib.host.command import find_tool, run
from pydib.image.vhd import make_vhd, vpc_options

ODD_BYTES = 3 * (1 << 20) + 65536


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "a.raw"
    path.write_bytes(b"pydib" * 1000)
    with path.open("ab") as stream:
        stream.truncate(ODD_BYTES)
    return path


@pytest.mark.parametrize(("given", "expected"), [
    ("", "subformat=dynamic,force_size=on"),
    ("compat=1.1,cluster_size=2M", "subformat=dynamic,force_size=on"),
    ("subformat=fixed", "subformat=fixed,force_size=on"),
    ("compat=1.1, force_size=off", "subformat=dynamic,force_size=off"),
])
def test_only_options_of_vpc_reach_it(given: str, expected: str) -> None:
    assert vpc_options(given) == expected


@pytest.mark.contract("C-234")
@pytest.mark.parametrize(("options", "file_bytes"), [("", None), ("subformat=fixed", ODD_BYTES + 512)])
def test_the_disk_has_the_same_content_and_size(raw: Path, tmp_path: Path, options: str, file_bytes: int | None
                                                ) -> None:
    if find_tool("qemu-img") is None or find_tool("vhd-util") is not None:
        pytest.skip("this is about qemu-img, which is missing, or stands behind vhd-util here")
    made = tmp_path / "a.vhd"
    make_vhd(raw, made, options=options)
    run("qemu-img", "compare", "-f", "raw", "-F", "vpc", raw, made)
    assert json.loads(run("qemu-img", "info", "--output=json", "-f", "vpc", made))["virtual-size"] == ODD_BYTES
    assert file_bytes is None or made.stat().st_size == file_bytes


def test_a_failing_vhd_util_is_told_and_leaves_nothing(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                       ) -> None:
    program = tmp_path / "bin" / "vhd-util"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho this build of vhd-util cannot convert >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with pytest.raises(ImageError, match="this build of vhd-util cannot convert"):
        make_vhd(raw, tmp_path / "a.vhd")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.raw", "bin"]
