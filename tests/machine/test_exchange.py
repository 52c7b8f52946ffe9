"""Layers that are exchanged through a directory: --cache-from and --cache-to."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydib.layer.sealed import sealed, unsealed
from tests.machine.layered import Layered, LayeredBuilder, LayeredUserBuilder
from tests.ordinary_user import User

pytestmark = pytest.mark.machine

HEAD = "#!/bin/bash\nset -eu -o pipefail\n"
SCRIPTS = ["root.d/10-tiny-os", "root.d/20-tools", "root.d/30-socket", "pre-install.d/10-rich", "install.d/20-reads",
           "install.d/30-last"]
RICH = HEAD + r"""
mkdir -p /opt/deep /opt/gone /opt/replaced; echo 1 >/opt/one; ln /opt/one /opt/deep/two; ln -s nowhere /opt/link
chown 33:44 /opt/one; chmod 4750 /opt/one; setfattr -n user.note -v x /opt/deep; setcap cap_net_raw+ep /opt/one
truncate -s 9M /opt/sparse; echo end >>/opt/sparse; touch -d '2001-02-03 04:05:06.789012345' /opt/sparse /opt/deep
mkfifo /opt/fifo; printf x >$'/opt/strange\nname'; echo x >/opt/replaced/old
"""
READS = HEAD + "cat $(dirname $0)/../files/data >/etc/read; rmdir /opt/gone; echo 2 >>/opt/deep/two\n" \
    "rm -r /opt/replaced; mkdir /opt/replaced; echo y >/opt/replaced/new; echo spoken\n"
TOOLS = HEAD + r"""
for name in chmod ln mkfifo rm rmdir setcap setfattr touch truncate; do
    program=$(readlink -f "$(command -v $name)"); rm -f "$TARGET_ROOT/bin/$name"; cp "$program" "$TARGET_ROOT/bin/$name"
    { ldd "$program" || true; } 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r library; do
        mkdir -p "$TARGET_ROOT${library%/*}"; cp -L "$library" "$TARGET_ROOT$library"
    done
done
"""


def elements_of(made: Layered) -> None:
    made.script("first", "root.d/20-tools", TOOLS)
    made.script("first", "pre-install.d/10-rich", RICH)
    made.script("first", "root.d/30-socket", HEAD + 'cd "$TARGET_ROOT/etc"\n' + """python3 -c '
import os, socket
os.umask(0o27)
socket.socket(socket.AF_UNIX).bind("socket")
os.chown("socket", 7, 8)'
touch -d 2001-02-03 .
""")
    made.script("second", "install.d/20-reads", READS)
    made.script("second", "files/data", "data\n", mode=0o644)
    made.script("second", "install.d/30-last", HEAD + "echo last >/etc/last\n")


BOTH = pytest.mark.parametrize("layered", ["root", "user"], indirect=True)


@pytest.fixture
def layered(request: pytest.FixtureRequest, tmp_path: Path, fixtures: Path) -> Iterator[Layered]:
    """Root's builder, or an ordinary user's where a test asks for it."""
    made: Layered
    if getattr(request, "param", "root") == "root":
        made = LayeredBuilder(tmp_path, fixtures)
    else:
        user: User = request.getfixturevalue("user")
        made = LayeredUserBuilder(Path(tempfile.mkdtemp(prefix="build-", dir=user.home)), user)
    elements_of(made)
    yield made
    assert list(made.store.glob("w/*")) == []
    shutil.rmtree(made.cache, ignore_errors=True)


@pytest.fixture
def shared(layered: Layered) -> Path:
    """The directory, filled by a build whose store is gone then: another machine's."""
    place = layered.out.parent / "shared"
    layered.build("--cache-to", str(place))
    assert "layers were put into" in layered.log
    shutil.rmtree(layered.store)
    return place


def took(made: Layered, shared: Path, *options: str) -> list[str]:
    return made.build("--cache-from", str(shared), *options)


@BOTH
def test_another_store_takes_all_that_a_build_gave(layered: Layered, shared: Path) -> None:
    """And what comes in is, to the last bit, what went out."""
    tree = layered.tree()
    assert took(layered, shared) == []
    assert layered.tree() == tree
    assert "6 scripts' layers came from" in layered.log
    assert [stat.S_ISSOCK(path.lstat().st_mode) for path in layered.store.glob("u/*/etc/socket")] == [True]
    assert layered.told("cache", "verify").endswith("all as they were written\n")
    assert layered.told("why", "--output", "20-reads") == "spoken\n"
    assert layered.build() == []  # without the directory: they are in the store now
    layered.build("--no-cache")
    assert layered.tree() == tree


def test_the_directory_holds_plain_files_only(layered: Layered, shared: Path) -> None:
    kinds = {path.lstat().st_mode >> 12 for path in shared.rglob("*") if not path.is_dir()}
    assert kinds == {0o10}
    assert {path.lstat().st_nlink for path in shared.rglob("*") if path.is_file()} == {1}
    assert not list(shared.rglob("*~"))
    assert not [path for path in shared.rglob("*") if os.listxattr(path)]
    before = sorted(shared.rglob("*"))
    layered.build("--cache-from", str(shared), "--cache-to", str(shared))
    assert sorted(shared.rglob("*")) == before


@BOTH
def test_only_what_changed_runs(layered: Layered, shared: Path) -> None:
    layered.script("second", "files/data", "other\n", mode=0o644)
    assert took(layered, shared) == ["install.d/20-reads", "install.d/30-last"]
    layered.script("second", "files/data", "data\n", mode=0o644)
    assert layered.build() == SCRIPTS[4:]
    assert took(layered, shared) == []


def test_ages_count_from_when_the_scripts_ran(layered: Layered, shared: Path) -> None:
    def older(data: dict[str, object]) -> None:
        data["created"] = float(str(data["created"])) - 25 * 3600

    for path in shared.glob("outcomes/*/*"):
        _rewritten(path, older)
    ran = took(layered, shared)
    assert ran == SCRIPTS
    assert "its layer is 25 hours old" in layered.reasons[SCRIPTS[0]]


def _rewritten(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    data = json.loads(unsealed(path.read_bytes()))
    change(data)
    path.write_bytes(sealed(json.dumps(data, sort_keys=True, separators=(",", ":"))))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _largest(shared: Path) -> Path:
    return max(shared.glob("layers/*"), key=lambda path: path.stat().st_size)


def _repacked(path: Path) -> None:
    """A whole archive, of something else."""
    with tempfile.TemporaryDirectory() as other:
        (Path(other) / "evil").write_text("not what was written\n")
        subprocess.run(["tar", "-C", other, "--zstd", "-cf", path, "."], check=True)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped byte": (lambda shared: _flip(_largest(shared)), "a layer is not taken from"),
    "another archive": (lambda shared: _repacked(_largest(shared)), "is not what was written"),
    "half an archive": (lambda shared: os.truncate(_largest(shared), 4096), "cannot be unpacked"),
    "an archive that is gone": (lambda shared: _largest(shared).unlink(), "cannot be unpacked"),
    "records of states gone": (lambda shared: shutil.rmtree(shared / "states"), "record of a layer is missing"),
    "records of states damaged": (lambda shared: [_flip(path) for path in (shared / "states").iterdir()],
                                  "record of a layer is missing or damaged"),
    "outcomes damaged": (lambda shared: [_flip(path) for path in shared.glob("outcomes/*/*")], ""),
    "a newer format": (lambda shared: (shared / "format.json").write_text('{"version": 99}'), "it has format 99"),
    "another program's file": (lambda shared: (shared / "format.json").write_text("\0"), "cannot be read"),
}


def test_what_is_damaged_is_named_and_made_anew(layered: Layered, shared: Path) -> None:
    tree = layered.tree()
    damaged = shared.with_name("damaged")
    for damage, (do, told) in DAMAGES.items():
        shutil.rmtree(layered.store, ignore_errors=True)
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(shared, damaged)
        do(damaged)
        assert took(layered, damaged), damage
        assert told in layered.log, damage
        assert layered.tree() == tree, damage
    assert layered.told("cache", "verify").endswith("all as they were written\n")


def test_two_builds_give_at_once(layered: Layered) -> None:
    place = layered.out.parent / "shared"
    argv = [layered.pydib("build", "--no-base", "--progress", "lines", "-t", "tar", "-o", f"disk{number}", "--cache-to",
                          str(place), *layered.names) for number in range(2)]
    builds = [subprocess.Popen(line, env=layered.environment, cwd=layered.out, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for line in argv]
    logs = [build.communicate(timeout=120)[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], logs
    shutil.rmtree(layered.store)
    assert took(layered, place) == []


@pytest.mark.parametrize(("where", "reason"), [("missing", "No such file or directory"), ("a file", "Not a directory")])
def test_a_directory_that_is_none_is_told_and_no_reason_to_fail(layered: Layered, where: str, reason: str) -> None:
    place = layered.out.parent / "shared"
    if where == "a file":
        place.write_text("x")
    assert took(layered, place) == SCRIPTS
    assert f"layers are no longer exchanged with {place}: {reason}" in layered.log


def test_no_directory_for_layers_can_be_made_in_a_file(layered: Layered) -> None:
    (layered.out.parent / "file").write_text("x")
    layered.build_refused("--cache-to", str(layered.out.parent / "file/shared"))
    assert "choose another directory for the layers with --cache-to" in layered.log


def test_without_layers_there_is_nothing_to_exchange(layered: Layered) -> None:
    layered.build_refused("--no-cache", "--cache-to", str(layered.out / "shared"))
    assert "--no-cache keeps no layers, so there are none to exchange" in layered.log


@BOTH
def test_disk_image_create_takes_the_directories_from_variables(layered: Layered, shared: Path) -> None:
    done = layered.run("-t", "tar", *layered.names, PYDIB_CACHE_FROM=str(shared))
    assert done.returncode == 0, done.stdout
    assert "dib-run-parts Cached install.d/20-reads" in done.stdout


def test_a_directory_that_fills_up_is_told(layered: Layered, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], check=True)
    try:
        layered.build("--cache-to", str(small))
        assert f"layers are no longer exchanged with {small}" in layered.log
        assert not list(small.rglob("*~"))
        shutil.rmtree(layered.store)
        assert took(layered, small) == SCRIPTS
    finally:
        subprocess.run(["umount", small], check=True)
