"""What a build will take, told from what the last one took."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.build import prepare, space
from pydib.build.decide import Prepared
from pydib.build.space import Space, keep, last, places, shortages
from pydib.recipe import from_environment
from pydib.sizes import GIB, MIB


def prepared(place: Path, fixtures: Path, **more: object) -> Prepared:
    fields = {"elements": ("tiny-os",), "types": ("raw",), "image_cache": place / "cache", "skip_base": True, **more}
    (place / "cache").mkdir(exist_ok=True)
    return prepare(from_environment({"PATH": "/bin", "ELEMENTS_PATH": str(fixtures / "elements"), "TMPDIR": str(place)},
                                    **fields))


def test_each_set_of_elements_has_its_own_figures(tmp_path: Path, fixtures: Path) -> None:
    one = prepared(tmp_path, fixtures)
    assert last(one) is None and places(one) == () and list(shortages(one)) == []
    keep(one, Space(temporary=1, layers=2, outputs=3))
    assert last(one) == Space(temporary=1, layers=2, outputs=3)
    assert last(prepared(tmp_path, fixtures, types=("qcow2",))) is None
    assert last(prepared(tmp_path, fixtures, elements=("tiny-os", "tiny-gnu"))) is None


def test_where_it_goes(tmp_path: Path, fixtures: Path) -> None:
    for tmpfs, folder in ((True, ""), (False, str(tmp_path))):
        one = prepared(tmp_path, fixtures, tmpfs=tmpfs, min_tmpfs_gib=0)
        keep(one, Space(temporary=5 * MIB, layers=7 * MIB, outputs=9 * MIB))
        found = {place.what: place for place in places(one)}
        assert found["the build's own files"].folder == folder
        assert found["layers"].folder == str(tmp_path / "cache")
        assert found["outputs"].needed == 9 * MIB
        assert found["layers"].text.startswith(f"layers: 7.0 MiB in {tmp_path}/cache, ")


def test_what_lies_on_one_filesystem_must_fit_together(tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
                                                       ) -> None:
    monkeypatch.setattr(space, "_free", lambda folder: 10 * GIB)
    one = prepared(tmp_path, fixtures, tmpfs=False, image_name=str(tmp_path / "disk"))
    keep(one, Space(temporary=4 * GIB, layers=3 * GIB, outputs=3 * GIB))
    assert list(shortages(one)) == []
    keep(one, Space(temporary=4 * GIB, layers=3 * GIB, outputs=3 * GIB + 1))
    (told,) = shortages(one)
    assert told.startswith(f"the last build of these elements took 10.0 GiB in {tmp_path} (the build's own files 4.0 ")
    in_memory = prepared(tmp_path, fixtures, tmpfs=True, min_tmpfs_gib=0, image_name=str(tmp_path / "disk"))
    assert list(shortages(in_memory)) == [], "6 GiB on disk and 4 in memory"


def test_damaged_figures_count_as_none(tmp_path: Path, fixtures: Path) -> None:
    one = prepared(tmp_path, fixtures)
    keep(one, Space(temporary=1, layers=2, outputs=3))
    (path,) = (tmp_path / "cache/space").iterdir()
    path.write_text("{}")
    assert last(one) is None
