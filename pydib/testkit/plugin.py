"""The pytest plugin: fixtures `fake_root`, `commands`, `element` and `image`. Installed through entry point `pytest11`.

pytest loads this module in every run on a machine with pydib, so it imports nothing before a test asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pydib.testkit.commands import Commands
    from pydib.testkit.element import ElementUnderTest
    from pydib.testkit.face import Root
    from pydib.testkit.image import Image

MARKER = "fake_root(kind): with `imagined` the fixture fake_root is a filesystem of pyfakefs, not a directory on disk"

_RUNNING: list[pytest.Config] = []
"""One, or more where a test runs pytest itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup("pydib", "elements of disk images")
    group.addoption("--elements-path", default="",
                    help="directories with elements for the fixture `element`, like ELEMENTS_PATH")
    group.addoption("--element-cov", nargs="?", const="", default=None, metavar="FOLDERS",
                    help="count lines of elements' scripts: those that ran, or all in FOLDERS (separated by colons)")
    group.addoption("--element-cov-fail-under", type=float, default=0.0, metavar="PERCENT",
                    help="fail if fewer of the lines ran, in all or in one element")
    group.addoption("--element-cov-html", metavar="FOLDER", help="write pages about the lines to FOLDER")
    group.addoption("--element-cov-lcov", metavar="FILE", help="write lcov's format to FILE")
    group.addoption("--element-cov-data", metavar="FILE", default=".coverage.elements",
                    help="where coverage.py's data about the lines is kept (default: %(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    """Make our marker known."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--element-cov") is not None:
        from pydib.testkit.coverage_door import ElementCoverage

        config.pluginmanager.register(ElementCoverage(config), "pydib-element-coverage")
    _RUNNING.append(config)


def pytest_unconfigure() -> None:
    """End what tests shared, if any did."""
    _RUNNING.pop()
    module = sys.modules.get("pydib.testkit.session")
    if module is not None and not _RUNNING:
        module.end_session()


@pytest.fixture
def fake_root(request: pytest.FixtureRequest) -> Iterator[Root]:
    """An empty fake root; `fake_root.like("debian-12")` fills it."""
    from pydib.testkit.commands import Commands
    from pydib.testkit.fake_root import FakeRoot
    from pydib.testkit.imagined import ImaginedRoot, as_root
    from pydib.testkit.real_disk import real_disk
    from pydib.testkit.session import session

    shelves = [request.path.parent / "roots"]
    with real_disk():
        base = session().new_directory("root")
    try:
        if _is_imagined(request):
            with real_disk():
                commands = Commands(base / "kit")
            filesystem = request.getfixturevalue("fs")
            with as_root():
                yield ImaginedRoot(filesystem, commands, shelves=shelves)
        else:
            yield FakeRoot(base, shelves=shelves)
    finally:
        with real_disk():
            session().remove(base)


@pytest.fixture
def commands(fake_root: Root) -> Commands:
    """The stand-ins for programs of this test's fake root."""
    return fake_root.commands


@pytest.fixture
def element(fake_root: Any, request: pytest.FixtureRequest) -> Callable[..., ElementUnderTest]:
    """`element("base")` is that element over this test's fake root; `also=["dpkg"]` merges further ones, and
    `shelves=[DIRECTORY]` says where to look first."""
    from pydib.testkit.element import ElementUnderTest
    from pydib.testkit.real_disk import real_disk
    from pydib.testkit.shelves import shelves_of

    with real_disk():
        usual = shelves_of(request.path, str(request.config.getoption("--elements-path")))
        place = request.getfixturevalue("tmp_path")

    def make(name: str, *, also: Sequence[str] = (), shelves: Sequence[Path] = ()) -> Any:
        places = [*shelves, *usual]
        if _is_imagined(request):
            from pydib.testkit.imagined_element import ImaginedElement

            return ImaginedElement(name, root=fake_root, shelves=places, also=also)
        return ElementUnderTest(name, root=fake_root, shelves=places, also=also, writable=[place])

    return make


@pytest.fixture(scope="module")
def image() -> Iterator[Callable[[str | Path], Image]]:
    """`image(PATH)` is that disk image, opened without mounting it, without booting it, and without root.

    It takes seconds to open one: all tests of a module share it.
    """
    from contextlib import ExitStack

    from pydib.errors import ToolMissing
    from pydib.testkit.image import Image
    from pydib.verify.disk import opened

    with ExitStack() as stack:
        known: dict[Path, Image] = {}

        def open_image(path: str | Path) -> Image:
            place = Path(path).resolve()
            if place not in known:
                try:
                    known[place] = Image(place, stack.enter_context(opened(place)))
                except ToolMissing as error:
                    pytest.skip(str(error))
            return known[place]

        yield open_image


def _is_imagined(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("fake_root")
    return marker is not None and marker.args[:1] == ("imagined",)
