"""The base of Trove guests on Ubuntu."""

from pathlib import Path


def test_it_is_debians():
    assert (Path(__file__).resolve().parent.parent / "element-deps").read_text().split() == ["debian-guest"]
