"""pydib diff: two images, and two points of one build."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.conftest import left_in_the_kernel
from tests.machine.layered import LayeredBuilder

pytestmark = pytest.mark.machine

HEAD = "#!/bin/bash\nset -eu -o pipefail\ncd $TARGET_ROOT\n"
BEFORE = HEAD + """
mkdir -p data/folder; echo one >data/same; echo one >data/content; echo gone >data/gone
echo x >data/mode; echo x >data/owner; echo x >data/linked; ln -s same data/link; mknod data/device c 1 3
echo y >data/folder/renamed; setfattr -n user.note -v 1 data/same
mkdir -p var/lib/dpkg
printf 'Package: %s\\nStatus: install ok installed\\nVersion: %s\\n\\n' kept 1 changed 1 gone 1 >var/lib/dpkg/status
"""
AFTER = HEAD + """
touch data/same; echo two >data/content; rm data/gone; chmod 4711 data/mode; chown 12:34 data/owner
ln data/linked data/second; ln -sfn content data/link; rm data/device; mknod data/device c 1 5
mv data/folder data/elsewhere; setfattr -n user.note -v 2 data/same; echo new >data/new
printf 'Package: %s\\nStatus: install ok installed\\nVersion: %s\\n\\n' kept 1 changed 2 late 3 >var/lib/dpkg/status
"""
FILES = {
    "/data/content": ("changed", ["content"]), "/data/gone": ("removed", []), "/data/new": ("added", []),
    "/data/mode": ("changed", ["mode 0644 -> 4711"]), "/data/owner": ("changed", ["owner 0:0 -> 12:34"]),
    "/data/linked": ("changed", ["hard links 1 -> 2"]), "/data/second": ("added", []),
    "/data/link": ("changed", ["target same -> content"]), "/data/device": ("changed", ["device 1:3 -> 1:5"]),
    "/data/folder": ("removed", []), "/data/folder/renamed": ("removed", []),
    "/data/elsewhere": ("added", []), "/data/elsewhere/renamed": ("added", []),
    "/data/same": ("changed", ["attribute user.note changed"]), "/var/lib/dpkg/status": ("changed", ["content"]),
}
PACKAGES = {"changed": ("changed", ["1 -> 2"]), "gone": ("removed", ["1"]), "late": ("added", ["3"])}


@pytest.fixture
def layered(tmp_path: Path, fixtures: Path) -> Iterator[LayeredBuilder]:
    made = LayeredBuilder(tmp_path, fixtures)
    made.script("first", "root.d/30-before", BEFORE)
    made.script("second", "root.d/40-after", AFTER)
    made.build()
    yield made
    assert left_in_the_kernel(tmp_path) == []
    assert list((made.store / "leases").iterdir()) == []


def told(text: str) -> tuple[dict[str, tuple[str, list[str]]], dict[str, tuple[str, list[str]]]]:
    facts = json.loads(text)
    return tuple({one["name"]: (one["what"], one["details"]) for one in facts[kind]}  # type: ignore[return-value]
                 for kind in ("files", "packages"))


def test_two_points_of_a_build(layered: LayeredBuilder) -> None:
    out = layered.told("diff", "before:root.d/40-after", "after:40-after", "--json", expect=1)
    assert told(out) == (FILES, PACKAGES)
    text = layered.told("diff", "after:root.d/30-before", "after:40-after", expect=1)
    assert "package changed  changed  1 -> 2\n" in text and "removed  /data/gone\n" in text
    assert layered.told("diff", "after:40-after", "after:root.d/40-after") == ""
    assert "after:nowhere" in layered.told("diff", "after:nowhere", "after:40-after", expect=2)


def test_two_archives(layered: LayeredBuilder) -> None:
    (layered.out / "disk.tar").rename(layered.out / "new.tar")
    layered.script("second", "root.d/40-after", HEAD)
    layered.build()
    out = layered.told("diff", "disk.tar", "new.tar", "--json", expect=1)
    assert told(out) == (FILES, PACKAGES)
    assert layered.told("diff", "disk.tar", "disk.tar") == ""
    (layered.out / "half.tar").write_bytes((layered.out / "disk.tar").read_bytes()[:100_000])
    assert "half.tar" in layered.told("diff", "half.tar", "new.tar", expect=2)


def test_a_point_and_an_archive(layered: LayeredBuilder) -> None:
    """What scripts after it, and the engine, did to the tree is told."""
    out = layered.told("diff", "after:40-after", "disk.tar", "--json", "--files", expect=1)
    assert all(not name.startswith("/data") for name in told(out)[0]), out


def test_disk_images_are_read_through_libguestfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the small virtual machine is acted; tests/boot looks into a real one."""
    from pydib.cli import diff
    from pydib.cli.main import group

    def write_tar(image: Path, tar: Path) -> None:
        with tarfile.open(tar, "w") as archive:
            member = tarfile.TarInfo("./etc/image")
            data = image.read_bytes()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    monkeypatch.setattr(diff, "write_tar", write_tar)
    for name in ("a.qcow2", "b.qcow2"):
        (tmp_path / name).write_text(name)
    assert group.main(["diff", str(tmp_path / "a.qcow2"), str(tmp_path / "b.qcow2")], standalone_mode=False) == 1
    assert group.main(["diff", str(tmp_path / "a.qcow2"), str(tmp_path / "a.qcow2")], standalone_mode=False) == 0
    assert subprocess.run(["ls", tmp_path], capture_output=True, check=True).stdout.split() == [b"a.qcow2", b"b.qcow2"]
