from __future__ import annotations

import pytest

from pydib.errors import BlockDeviceConfigError
from pydib.sizes import GIB, MIB, human_size, image_size_kib, is_relative, parse_size


@pytest.mark.parametrize(("text", "size"), [
    ("1GiB", GIB), ("10 MiB", 10 * MIB), ("1.5GiB", 3 * GIB // 2), ("4G", 4 * 10**9), ("4GB", 4 * 10**9),
    ("100", 100), ("100B", 100), ("KiB", 1024), ("2TB", 2 * 10**12),
])
def test_sizes_with_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["1e3", "1gib", "-1GB", "four", "1 G B", ".", 5, None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(BlockDeviceConfigError):
        parse_size(text)


def test_a_part_of_the_whole() -> None:
    assert parse_size("50%", whole=1000) == 500
    assert is_relative("50%")
    with pytest.raises(BlockDeviceConfigError, match="nothing it could be a part of"):
        parse_size("50%")


@pytest.mark.parametrize(("given", "expected"), [
    ({"tree_kib": 123457}, 271360),
    ({"tree_kib": 123457, "given_gib": 2.0}, 2 * 1048576),
    ({"tree_kib": 1000, "given_gib": 1.0, "efi": True}, 1048576 + 525 * 1024),
    ({"tree_kib": 1000, "extra_mib": 100.0}, 168960),
    ({"tree_kib": 6400, "ext4_root": False}, 10688),
])
def test_size_of_the_image(given: dict[str, object], expected: int) -> None:
    defaults = {"given_gib": None, "extra_mib": None, "journal_mib": 64, "ext4_root": True, "efi": False}
    assert image_size_kib(**{**defaults, **given}) == expected  # type: ignore[arg-type]


def test_sizes_for_people() -> None:
    assert [human_size(n) for n in (1, 1536, 3 * GIB)] == ["1 B", "1.5 KiB", "3.0 GiB"]
