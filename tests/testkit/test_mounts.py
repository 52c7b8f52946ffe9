"""The mounts of one run, as an fstab."""

from __future__ import annotations

import pytest

from pydib.testkit.mounts import write_fstab


@pytest.fixture
def targets(tmp_path):
    """Mount points of a run on this side, in order, and the whole text."""
    root = tmp_path / "root"
    (root / "tmp").mkdir(parents=True)

    def get(side):
        write_fstab(tmp_path / "fstab", side=side, base=tmp_path, root=root, kit=tmp_path / "kit",
                    hooks=tmp_path / "hooks", lower="/a:/usr")
        text = (tmp_path / "fstab").read_text()
        points = [line.split()[1] for line in text.splitlines()]
        return [point.replace(str(root), "ROOT").replace(str(tmp_path), "BASE") for point in points], text

    return get


def test_a_target_script_gets_usr_devices_proc_and_the_hook_tree(targets):
    points, text = targets("target")
    assert points[0] == "ROOT/usr"
    assert {"ROOT/dev/null", "ROOT/dev/pydib-testkit", "ROOT/proc"} <= set(points)
    assert points[-1] == "ROOT/tmp/in_target.d"
    assert text.splitlines()[-1].endswith("none bind,ro 0 0")


def test_a_host_script_keeps_its_directory_writable_first(targets):
    points, _ = targets("host")
    assert (points[0], points[1], points[-1]) == ("BASE", "ROOT/usr", "/proc")


def test_a_bare_root_is_not_touched(targets):
    assert targets("bare")[0] == ["BASE", "/proc"]


def test_every_run_has_a_work_directory_of_its_own(targets):
    first, second = targets("host")[1], targets("host")[1]
    assert "work-0,volatile" in first and "work-1,volatile" in second


def test_blanks_in_paths_are_kept(tmp_path):
    base = tmp_path / "a b"
    base.mkdir()
    write_fstab(tmp_path / "fstab", side="bare", base=base, root=base, kit=base, hooks=base, lower="")
    assert f"{tmp_path}/a\\040b {tmp_path}/a\\040b none bind" in (tmp_path / "fstab").read_text()
