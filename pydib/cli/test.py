"""`pydib test`: an element's tests, in Python and as DIB's functional test elements."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pydib import recipe
from pydib.element.shelf import find_elements
from pydib.errors import ElementNotFound, ToolMissing
from pydib.host.stream import run_in_foreground

SENTINEL = "dib-test-should-fail"
"""A test element whose build is to fail leaves this file in the image's /tmp before it does (C-318)."""

NO_TESTS_COLLECTED = 5


@dataclass(frozen=True, kw_only=True)
class Functional:
    """One test element: `path` is below the test-elements/ folder of `element`."""

    element: str
    path: Path
    formats: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.element}/{self.path.name}"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("elements", nargs=-1, required=True, metavar="ELEMENT...")
@click.option("--python", "kind", flag_value="python", help="Only the tests in Python (tests/).")
@click.option("--functional", "kind", flag_value="functional", help="Only the builds of test-elements/.")
@click.option("--list", "only_list", is_flag=True, help="Say what would run.")
@click.option("--pytest-options", default="", help="Further words for pytest, in one argument.")
def command(elements: tuple[str, ...], kind: str | None, only_list: bool, pytest_options: str) -> int:
    """Run the tests of ELEMENTs, each a name or a folder.

    Tests in Python (ELEMENT/tests/) take milliseconds each. Then each folder of ELEMENT/test-elements/ is built
    together with ELEMENT, as DIB's own tests do: the build must succeed, or, if it has left
    /tmp/dib-test-should-fail in the image, fail.
    """
    folders = [_folder(name) for name in elements]
    python = [folder / "tests" for folder in folders if (folder / "tests").is_dir()] if kind != "functional" else []
    functional = [test for folder in folders for test in _functional(folder)] if kind != "python" else []
    if only_list:
        sys.stdout.writelines(f"{path}\n" for path in (*python, *(test.path for test in functional)))
        return 0
    if not python and not functional:
        sys.stdout.write("there are no tests; `pydib new element NAME` shows what one looks like\n")
        return 1
    codes = [_pytest(python, folders, pytest_options)] if python else []
    codes += [_build(test, folder) for folder in folders for test in functional if test.path.is_relative_to(folder)]
    return 1 if any(codes) else 0


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name).resolve()
    shelf = find_elements(recipe.from_environment(os.environ, elements=[name]).elements_path)
    if name in shelf:
        return shelf[name].path
    raise ElementNotFound(f"element {name!r} not found", where=":".join(map(str, shelf.searched)),
                          hint="name an element of ELEMENTS_PATH, or an element's folder")


def _pytest(tests: Sequence[Path], folders: Sequence[Path], options: str) -> int:
    if importlib.util.find_spec("pytest") is None:
        raise ToolMissing("pytest is not installed", hint="install it: pip install 'pydib[testing]'")
    places = os.pathsep.join(dict.fromkeys(str(folder.parent) for folder in folders))
    code = run_in_foreground(sys.executable, "-m", "pytest", "--import-mode=importlib", f"--elements-path={places}",
                             *recipe.words(options), *map(str, tests))
    return 0 if code == NO_TESTS_COLLECTED else code


def _functional(folder: Path) -> Iterator[Functional]:
    for test in sorted(folder.glob("test-elements/*")):
        if test.is_dir():
            formats = test / "test-output-formats"
            wanted = ",".join(formats.read_text().split()) if formats.is_file() else "tar"
            yield Functional(element=folder.name, path=test, formats=wanted)


def _build(test: Functional, folder: Path) -> int:
    """Build one test element; 0 when it ended as it should."""
    with tempfile.TemporaryDirectory(prefix="pydib-test-") as place:
        given = os.environ.get("ELEMENTS_PATH", "")
        env = {**os.environ, "break": "after-error", "break_outside_target": "1",
               "break_cmd": f'cp "$TMP_MOUNT_PATH/tmp/{SENTINEL}" {shlex.quote(place)} || true',
               "ELEMENTS_PATH": os.pathsep.join(filter(None, [str(test.path.parent), str(folder.parent), given]))}
        code = run_in_foreground(
            sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as build; build()",
            "-n", "-x", "-t", test.formats, "-o", f"{place}/image", test.element, test.path.name, env=env)
        meant = Path(place, SENTINEL).exists()
    verdict = "passed" if not code else "failed, as it should" if meant else f"failed with {code}"
    sys.stdout.write(f"{test.name}: {verdict}\n")
    return 0 if meant or not code else 1
