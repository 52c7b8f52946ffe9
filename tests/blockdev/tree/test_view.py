"""The tree split by mount points."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pydib.blockdev.tree.view import inner_mount_points, make_mount_points, view
from pydib.errors import BlockDeviceError
from pydib.host.mount import mounts_below

POINTS = ("/", "/boot", "/boot/efi", "/boot-data", "/var")


@pytest.mark.parametrize(("point", "inner"), [
    ("/", ("/boot", "/boot-data", "/var")), ("/boot", ("/boot/efi",)), ("/boot/efi", ()), ("/boot-data", ()),
])
def test_each_filesystem_hides_the_nearest_ones(point: str, inner: tuple[str, ...]) -> None:
    assert inner_mount_points(point, POINTS) == inner


def test_missing_mount_points_are_made_as_device_mode_makes_them(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_mount_points(tmp_path, POINTS)
    finally:
        os.umask(before)
    assert (tmp_path / "boot/efi").is_dir()
    assert (tmp_path / "boot").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_mount_point_that_is_no_folder_is_named(tmp_path: Path, kind: str) -> None:
    if kind == "link":
        (tmp_path / "boot").symlink_to("/etc")
    else:
        (tmp_path / "boot").write_text("")
    with pytest.raises(BlockDeviceError, match="mount point /boot/efi cannot be: /boot is no folder"):
        make_mount_points(tmp_path, ["/boot/efi"])


@pytest.mark.machine
def test_a_view_shows_empty_mount_points_and_leaves_nothing(tmp_path: Path) -> None:
    tree, work = tmp_path / "tree", tmp_path / "work"
    work.mkdir()
    tree.mkdir()
    make_mount_points(tree, POINTS)
    for point in POINTS:
        (tree / point.lstrip("/") / "file").write_text(point)
    os.chown(tree / "var", 3, 4)
    (tree / "var").chmod(0o711)
    os.utime(tree / "var", ns=(5, 7))
    with view(tree, "/", POINTS, work) as shown:
        assert (shown / "file").read_text() == "/"
        assert list((shown / "boot").iterdir()) == []
        found = (shown / "var").stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime_ns) == (0o711, 3, 4, 7)
    with view(tree, "/boot", POINTS, work) as shown:
        assert sorted(path.name for path in shown.iterdir()) == ["efi", "file"]
        assert list((shown / "efi").iterdir()) == []
    with view(tree, "/var", POINTS, work) as shown:
        assert shown == tree / "var"
    assert list(work.iterdir()) == []
    assert mounts_below(tmp_path) == ()


@pytest.mark.machine
def test_a_failure_in_a_view_leaves_nothing_either(tmp_path: Path) -> None:
    tree, work = tmp_path / "tree", tmp_path / "work"
    work.mkdir()
    (tree / "boot").mkdir(parents=True)
    with pytest.raises(KeyError), view(tree, "/", ("/", "/boot"), work):
        raise KeyError
    assert list(work.iterdir()) == []
    assert mounts_below(tmp_path) == ()
