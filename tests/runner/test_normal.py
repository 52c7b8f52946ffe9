"""What a tree holds of the build that made it, and what is left of that."""

from __future__ import annotations

import importlib.util
import os
import py_compile
from pathlib import Path

from pydib.runner.normal import normalise
from pydib.runner.target import tree_size_kib

DAY = 24 * 3600
MOMENT = 19_000 * DAY + 5


def test_passwords_were_changed_at_the_moment_at_the_latest(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    shadow = tmp_path / "etc/shadow"
    shadow.write_text("root:*:20500:0:99999:7:::\nold:!:12:0:::::\nnever:!::0:::::\nforced:!:0:0:::::\nodd\n"
                      "aging:*:20500:0:90:7:::\n")
    shadow.chmod(0o640)
    normalise(tmp_path, MOMENT)
    assert shadow.read_text() == ("root:*:19000:0:99999:7:::\nold:!:12:0:::::\nnever:!::0:::::\nforced:!:0:0:::::\n"
                                  "odd\naging:*:20500:0:90:7:::\n")
    assert shadow.stat().st_mode & 0o777 == 0o640


def test_a_link_that_leads_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shadow").write_text("root:*:20500:::::\n")
    (outside / "aux-cache").write_text("x")
    tree = tmp_path / "tree"
    (tree / "var/cache").mkdir(parents=True)
    (tree / "etc").symlink_to(outside)
    (tree / "var/cache/ldconfig").symlink_to(outside)
    normalise(tree, MOMENT)
    assert (outside / "shadow").read_text() == "root:*:20500:::::\n"
    assert (outside / "aux-cache").exists()


def test_compiled_modules_still_belong_to_their_aged_sources(tmp_path: Path) -> None:
    source = tmp_path / "usr/lib/python3/module.py"
    source.parent.mkdir(parents=True)
    source.write_text("VALUE = 1\n")
    compiled = Path(py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP) or "")
    hashed = Path(py_compile.compile(str(source), cfile=str(compiled.with_name("hashed.pyc")),
                                     invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH) or "")
    before = hashed.read_bytes()
    normalise(tmp_path, MOMENT)
    os.utime(source, (MOMENT, MOMENT))
    assert hashed.read_bytes() == before
    header = compiled.read_bytes()[:16]
    assert header[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(header[8:12], "little") == MOMENT


def test_the_cache_of_ldconfig_goes(tmp_path: Path) -> None:
    cache = tmp_path / "var/cache/ldconfig/aux-cache"
    cache.parent.mkdir(parents=True)
    cache.write_text("inode numbers")
    normalise(tmp_path, MOMENT)
    assert not cache.exists()


def test_the_size_of_a_tree_is_that_on_a_new_disk(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    assert tree_size_kib(tree) == 4
    (tree / "one").write_bytes(b"x")
    os.link(tree / "one", tree / "again")
    (tree / "short").symlink_to("one")
    (tree / "long").symlink_to("one" * 30)
    (tree / "empty").touch()
    (tree / "folder").mkdir()
    assert tree_size_kib(tree) == 4 + 4 + 4 + 4
    with (tree / "holes").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 20)
        file.write(b"x" * 8192)
    assert tree_size_kib(tree) == 16 + 8
    with (tree / "holes").open("r+b") as file:
        file.seek(4 << 20)
        file.write(bytes(2 << 20) + b"x" + bytes(4095))
        assert os.fstat(file.fileno()).st_blocks * 512 > 2 << 20, "zeros that were written lie on the disk"
    assert tree_size_kib(tree) == 16 + 8 + 4
    os.truncate(tree / "holes", 4 << 20)
    for number in range(1000):
        (tree / "folder" / f"{number:060}").touch()
    grown = tree_size_kib(tree)
    for number in range(1000):
        (tree / "folder" / f"{number:060}").unlink()
    assert (grown, tree_size_kib(tree)) == (24 + 64, 24)
