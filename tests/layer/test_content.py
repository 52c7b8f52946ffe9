"""The digest of a layer tells everything that the tree shows apart, and times that say nothing not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pydib.layer import content
from pydib.layer.content import Window, content_of, signature_of

THEN = 1_600_000_000
WINDOW = Window(begun_ns=(THEN - 10) * 10**9, ended_ns=(THEN + 10) * 10**9)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    top = tmp_path / "u"
    (top / "etc/deep").mkdir(parents=True)
    (top / "etc/one").write_text("1")
    (top / "etc/two").write_text("2")
    os.link(top / "etc/one", top / "etc/linked")
    (top / "etc/link").symlink_to("one")
    (top / "big").write_bytes(b"x" * 400_000)
    all_from(top, THEN)
    return top


def all_from(top: Path, seconds: float) -> None:
    for path in [top, *top.rglob("*")]:
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def replaced(name: str, text: str) -> Callable[[Path], object]:
    return lambda top: (top / name).write_text(text)


def unlinked_copy(top: Path) -> None:
    (top / "etc/linked").unlink()
    (top / "etc/linked").write_text("1")


def other_link(top: Path) -> None:
    (top / "etc/link").unlink()
    (top / "etc/link").symlink_to("two")


@pytest.mark.parametrize("change", [
    pytest.param(replaced("etc/two", "3"), id="content"),
    pytest.param(lambda top: (top / "big").write_bytes(b"x" * 399_999 + b"y"), id="the-last-byte-of-a-big-file"),
    pytest.param(lambda top: (top / "etc/two").chmod(0o600), id="mode"),
    pytest.param(lambda top: (top / "etc/deep").rmdir(), id="folder-gone"),
    pytest.param(lambda top: (top / "etc/two").rename(top / "etc/three"), id="name"),
    pytest.param(unlinked_copy, id="hard-link-or-copy"),
    pytest.param(other_link, id="where-a-link-leads"),
    pytest.param(lambda top: os.setxattr(top / "etc/two", "user.note", b"x"), id="attribute"),
    pytest.param(lambda top: top.chmod(0o711), id="mode-of-the-root"),
])
def test_what_can_be_seen_changes_the_digest(layer: Path, change: Callable[[Path], object]) -> None:
    before = content_of(layer, WINDOW).digest
    change(layer)
    all_from(layer, THEN)
    assert content_of(layer, WINDOW).digest != before


def test_when_exactly_a_script_wrote_a_file_does_not(layer: Path) -> None:
    before = content_of(layer, WINDOW).digest
    all_from(layer, THEN + 5)
    assert content_of(layer, WINDOW).digest == before
    os.utime(layer / "etc/two", (1, 1))
    assert content_of(layer, WINDOW).digest != before


def test_the_signature_tells_that_a_file_was_touched(layer: Path) -> None:
    content = content_of(layer, WINDOW)
    assert signature_of(layer) == content.signature
    (layer / "etc/two").chmod(0o600)
    (layer / "etc/two").chmod(0o644)
    assert signature_of(layer) != content.signature
    assert content_of(layer, WINDOW).digest == content.digest


def test_a_layer_may_be_renamed(layer: Path) -> None:
    before = signature_of(layer)
    os.rename(layer, layer.with_name("other"))
    assert signature_of(layer.with_name("other")) == before


def test_many_files_are_read_like_few(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03d}").write_text(str(number % 7))
    first = content_of(tmp_path, WINDOW)
    assert content_of(tmp_path, WINDOW).digest == first.digest
    assert first.files == 301
    (tmp_path / "250").write_text("x")
    assert content_of(tmp_path, WINDOW).digest != first.digest


def test_how_many_files_are_read_at_once_makes_no_difference(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hard links lie in other parts than their first names, and no part is whole."""
    found = []
    for at_once in (1, 3, 1000):
        monkeypatch.setattr(content, "_ALL_AT_ONCE", at_once)
        found.append(content_of(layer, WINDOW))
    assert found[0] == found[1] == found[2]


def test_a_file_with_several_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 400_000)
    alone = content_of(tmp_path, WINDOW)
    for number in range(100):
        os.link(tmp_path / "a", tmp_path / f"b{number}")
    linked = content_of(tmp_path, WINDOW)
    assert linked.files == alone.files + 100
    assert alone.size_bytes <= linked.size_bytes < alone.size_bytes + 100_000, "the folder may have grown"
