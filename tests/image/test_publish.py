"""Outputs take their final names at once; old ones are kept."""

from __future__ import annotations

import datetime
import hashlib
import os
from pathlib import Path

import pytest

from pydib.errors import ImageError
from pydib.image.publish import dated, owner, publish

MOMENT = datetime.datetime(2026, 11, 23, 4, 5, 6, tzinfo=datetime.UTC)


def staged(tmp_path: Path, text: str = "new") -> Path:
    folder = tmp_path / ".staging"
    folder.mkdir(exist_ok=True)
    path = folder / "disk.qcow2"
    path.write_text(text)
    return path


def put(tmp_path: Path, *, keep_old: bool = True, checksums: tuple[str, ...] = ()) -> Path | None:
    return publish(staged(tmp_path), tmp_path / "disk.qcow2", checksums=checksums, shown_as="./disk.qcow2",
                   keep_old=keep_old, moment=MOMENT)


def test_the_output_gets_its_name(tmp_path: Path) -> None:
    assert put(tmp_path) is None
    assert (tmp_path / "disk.qcow2").read_text() == "new"


def test_an_old_output_is_kept_under_its_date_with_its_checksums(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_text("old")
    (tmp_path / "disk.qcow2.md5").write_text("sum of old")
    put(tmp_path)
    assert (tmp_path / "disk-2026.11.23-04.05.06.qcow2").read_text() == "old"
    assert (tmp_path / "disk-2026.11.23-04.05.06.qcow2.md5").read_text() == "sum of old"
    assert not (tmp_path / "disk.qcow2.md5").exists()  # it would lie about the new one


def test_an_old_output_may_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_text("old")
    put(tmp_path, keep_old=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging", "disk.qcow2"]


def test_checksum_files_are_such_as_md5sum_reads(tmp_path: Path) -> None:
    put(tmp_path, checksums=("md5", "sha256"))
    expected = hashlib.sha256(b"new").hexdigest()
    assert (tmp_path / "disk.qcow2.sha256").read_text() == f"{expected}  ./disk.qcow2\n"
    assert (tmp_path / "disk.qcow2.md5").read_text().startswith(hashlib.md5(b"new").hexdigest())


def test_a_directory_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").mkdir()
    with pytest.raises(ImageError, match="could not be published"):
        put(tmp_path)
    assert (tmp_path / "disk.qcow2").is_dir()


def test_a_name_without_ending_gets_its_date_too() -> None:
    assert dated(Path("/d/disk.raw"), MOMENT) == Path("/d/disk-2026.11.23-04.05.06.raw")


def test_an_output_and_its_checksums_are_given_away(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    publish(staged(tmp_path), tmp_path / "disk.qcow2", checksums=("md5",), shown_as="x", keep_old=True,
            moment=MOMENT, belongs_to=(1234, 2345))
    for name in ("disk.qcow2", "disk.qcow2.md5"):
        assert ((tmp_path / name).stat().st_uid, (tmp_path / name).stat().st_gid) == (1234, 2345)


@pytest.mark.parametrize("environment", [{}, {"SUDO_UID": "1000"}, {"SUDO_UID": "-1", "SUDO_GID": "0"}])
def test_without_sudo_outputs_are_ours(environment: dict[str, str]) -> None:
    assert owner(environment) is None
