"""The pytest plugin: fixtures `fake_root`, `commands` and `element`. Installed through the entry point `pytest11`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pydib.paths import elements_dir
from pydib.testkit.commands import Commands
from pydib.testkit.element import ElementUnderTest
from pydib.testkit.fake_root import FakeRoot


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--elements-path`."""
    parser.addoption("--elements-path", default="",
                     help="directories with elements for the fixture `element`, like ELEMENTS_PATH")


@pytest.fixture
def fake_root(tmp_path: Path, request: pytest.FixtureRequest) -> FakeRoot:
    """An empty fake root; `fake_root.like("debian-12")` fills it."""
    base = tmp_path / "pydib"
    base.mkdir()
    return FakeRoot(base, shelves=[request.path.parent / "roots"])


@pytest.fixture
def commands(fake_root: FakeRoot) -> Commands:
    """The stand-ins for programs of this test's fake root."""
    return fake_root.commands


@pytest.fixture
def element(fake_root: FakeRoot, request: pytest.FixtureRequest) -> Callable[..., ElementUnderTest]:
    """`element("base")` is that element over this test's fake root; `also=["dpkg"]` merges further ones."""
    shelves = _shelves(request)

    def make(name: str, *, also: tuple[str, ...] | list[str] = ()) -> ElementUnderTest:
        return ElementUnderTest(name, root=fake_root, shelves=shelves, also=also)

    return make


def _shelves(request: pytest.FixtureRequest) -> list[Path]:
    """Where elements are looked for: beside the test's own element, the option, ELEMENTS_PATH, ours."""
    given = f"{request.config.getoption('--elements-path')}:{os.environ.get('ELEMENTS_PATH', '')}"
    beside = [parent.parent.parent for parent in request.path.parents if parent.name == "tests"]
    places = [*beside, *(Path(place) for place in given.split(os.pathsep) if place), elements_dir()]
    return list(dict.fromkeys(place.resolve() for place in places if place.is_dir()))
