"""One recipe of Debian built in tree mode, in device mode, and by an ordinary user: the images hold equal trees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.blockdev.tree import nasty
from tests.finished_disk import check_clean, filesystems, shown
from tests.ordinary_user import ordinary_user

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

CONTENT_OF_THE_VERY_BUILD = {
    r"^var/(log|cache)/|^var/lib/(apt|dpkg)/": "logs, caches and databases with times",
    r"^boot/(initrd|grub)": "times, and the filesystem's UUID",
    r"^etc/dib-manifests/": "the command line and the caller's variables",
    r"^etc/iscsi/initiatorname": "made anew in every build",
}
"""Files whose content may differ between two builds of the same recipe; owner, mode and all else may not."""


def build(place: Path, *argv: str | Path, **env: str) -> Path:
    """Build as whoever `argv` says; gives the raw image."""
    done = subprocess.run([*map(str, argv), "-t", "raw", "--image-size", "2", "-o", str(place / "disk"),
                           "debian-minimal", "vm", "easily-lost"], text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL, errors="replace", env={**os.environ, **env})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return place / "disk.raw"


def files(disk: Path, place: Path) -> dict[str, tuple[object, ...]]:
    """Kind, mode, owners, content, attributes, device and names of each file in the image's root filesystem."""
    (root,) = filesystems(disk)
    check_clean(root)
    with shown(root, place) as tree:
        found = nasty.entries(tree)
    return {name: (*facts[:3], _content(name, facts[4]), *facts[5:]) for name, facts in found.items()}


def _content(name: str, content: object) -> object:
    return "" if any(re.search(pattern, name) for pattern in CONTENT_OF_THE_VERY_BUILD) else content


def test_all_three_ways_lead_to_the_same_tree(tmp_path: Path, fixtures: Path) -> None:
    command = [sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as d; d()"]
    settings = {"DIB_RELEASE": "bookworm", "ELEMENTS_PATH": str(fixtures / "elements")}
    found = {}
    for mode in ("tree", "device"):
        (tmp_path / mode).mkdir()
        disk = build(tmp_path / mode, *command, "--assemble", mode, **settings)
        found[mode] = files(disk, tmp_path / "shown")
    with ordinary_user() as user:
        argv = user.argv("DIB_RELEASE=bookworm", f"ELEMENTS_PATH={user.library}/fixtures/elements",
                         *user.python("from pydib.cli.drop_in import disk_image_create as d; d()"))
        found["without root"] = files(build(user.home, *argv), tmp_path / "shown")
    usual = found["tree"]
    differing = [f"{way}: {name!r}\n  {usual.get(name)}\n  {other.get(name)}" for way, other in found.items()
                 for name in sorted(usual.keys() | other.keys()) if usual.get(name) != other.get(name)]
    assert not differing, "\n".join(differing)
    assert len(usual) > 10_000
    check_that_nothing_was_lost(usual)


def check_that_nothing_was_lost(found: dict[str, tuple[object, ...]]) -> None:
    """The tree has what the element put there, so that equal does not mean equally poor."""
    capable, one, link, folder = (found[f"opt/easily-lost/{name}"] for name in ("capable", "one", "link", "folder"))
    assert dict(capable[4])["security.capability"]  # type: ignore[call-overload]
    assert {name for name, _ in one[4]} == {"user.text", "system.posix_acl_access"}  # type: ignore[attr-defined]
    assert (one[6], len(one[7])) == (3, 3)  # type: ignore[arg-type]
    assert link[1:4] == (7, 8, "one")
    assert folder[:3] == ("0o43770", 65534, 65534)
    assert [name for name in found if name.startswith("dev/")] == []
