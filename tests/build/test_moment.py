"""The moment for which an image is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.build.moment import of_archives
from pydib.errors import RecipeError
from pydib.recipe import source_date

RELEASE = "Origin: Debian\nDate: {date}\nComponents: main\nMD5Sum:\n 00 1 Date: none\n"


def lists(tree: Path, **dates: str) -> Path:
    folder = tree / "var/lib/apt/lists"
    folder.mkdir(parents=True)
    for name, date in dates.items():
        (folder / f"mirror_dists_{name}").write_text(RELEASE.format(date=date))
    return tree


def test_the_newest_archive_decides(tmp_path: Path) -> None:
    tree = lists(tmp_path, stable_InRelease="Sat, 06 Sep 2025 08:37:54 UTC",
                 updates_Release="Sun, 7 Sep 2025 00:00:00 UTC",
                 broken_InRelease="some day", main_Packages="Sun, 7 Sep 2031 00:00:00 UTC")
    assert of_archives(tree) == 1_757_203_200


def test_without_lists_no_archive_tells_anything(tmp_path: Path) -> None:
    assert of_archives(tmp_path) is None
    assert of_archives(lists(tmp_path)) is None


def test_a_link_that_leads_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    outside = lists(tmp_path / "outside", stable_InRelease="Sat, 06 Sep 2025 08:37:54 UTC")
    (tmp_path / "tree/var/lib").mkdir(parents=True)
    (tmp_path / "tree/var/lib/apt").symlink_to(outside / "var/lib/apt")
    assert of_archives(tmp_path / "tree") is None


def test_what_the_caller_gives_is_a_number_of_seconds() -> None:
    assert (source_date(""), source_date("1000000000")) == (None, 1_000_000_000)
    for wrong in ("today", "-1", "1e9", "2025-01-01", "999999999999"):
        with pytest.raises(RecipeError, match="SOURCE_DATE_EPOCH must be a number of seconds"):
            source_date(wrong)
