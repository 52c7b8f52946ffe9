"""The house has floors: a module imports only from floors below its own, and each library has one door.

This reads every import in pydib/, also those inside functions, those for type checkers only, and
`importlib.import_module` with a fixed name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import pydib

FLOORS = (
    {"__init__", "errors", "events", "sizes", "paths", "template", "clock", "masking"},
    {"element", "recipe", "environment", "yaml_builds"},
    {"phase", "host"},
    {"runner", "layer", "blockdev", "image", "boot", "fetch"},
    {"build", "report", "verify"},
    {"cli", "testkit", "trove", "__main__"},
)
"""Rooms from the ground up. Rooms on one floor do not import each other, but the ground floor's may: see below."""

DOORS = {
    "sh": ("host/command.py",),
    "jinja2": ("template.py",),
    "guestfs": ("verify/disk.py",),
    "pytest": ("testkit/",),
    "pyfakefs": ("testkit/", "host/command.py"),  # command.py asks whether a fake filesystem is active, to refuse
    "click": ("cli/", "trove/command.py"),
    "kombu": ("trove/broker.py",),
    "amqp": ("trove/broker.py",),
    "cryptography": ("trove/messages.py",),
    "pymysql": ("trove/answers.py",),
    "pg8000": ("trove/answers.py",),
    "subprocess": ("host/",),
    "inotify_simple": ("host/watch.py",),
    "zlib_ng": ("image/qcow2.py",),
    "crc32c": ("blockdev/tree/inodes.py",),
    "ctypes": ("host/",),
}
"""The only places that may import a library. Other programs and the kernel are reached through host/."""

Sources = Mapping[str, str]
"""Python sources by their path below pydib/."""


def floor_of(room: str) -> int | None:
    """The floor of a room, or None when the table does not know it."""
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


def room_of(path: str) -> str:
    """The room that a file is in: its first folder, or its own name."""
    return Path(path).parts[0].removesuffix(".py")


def imported_names(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that is imported; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(source, filename=path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_base(path, node)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and is_import_call(node):
            yield node.lineno, str(node.args[0].value)  # type: ignore[attr-defined]


def absolute_base(path: str, node: ast.ImportFrom) -> str:
    """The module that names are imported from, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = ["pydib", *Path(path).parts[:-1]]
    return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


def is_import_call(node: ast.Call) -> bool:
    """Whether it is `import_module("name")` or `__import__("name")`."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    fixed = bool(node.args) and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    return called in ("import_module", "__import__") and fixed


def target_room(name: str, rooms: set[str]) -> str:
    """The room of a dotted name in pydib; what is no room is a name from `pydib/__init__.py`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in rooms else "__init__"


def violations(sources: Sources) -> list[str]:
    """What breaks the rules, a sentence each."""
    rooms = {room_of(path) for path in sources} | set().union(*FLOORS)
    found = []
    for path, source in sorted(sources.items()):
        if floor_of(room_of(path)) is None:
            found.append(f"{path}: the room {room_of(path)} is on no floor of the table in this test")
            continue
        for line, name in imported_names(path, source):
            library = name.split(".")[0]
            if library == "pydib":
                found += [f"{path}:{line}: {problem}" for problem in floor_problems(path, target_room(name, rooms))]
            elif library in DOORS and not path.startswith(DOORS[library]):
                found.append(f"{path}:{line}: imports {library}, which only {' and '.join(DOORS[library])} may")
    return found + [f"the ground floor has a cycle: {' -> '.join(cycle)}" for cycle in ground_cycles(sources)]


def floor_problems(path: str, target: str) -> Iterator[str]:
    """What is wrong with an import of the room `target` in the file `path`."""
    room = room_of(path)
    own, other = floor_of(room), floor_of(target)
    if target == room or own is None:
        return
    if other is None:
        yield f"imports {target}, which is on no floor"
    elif other > own:
        yield f"floor {own} imports {target} from floor {other}, above its own"
    elif other == own and own > 0:
        yield f"{room} imports {target}, a room on its own floor"


def ground_cycles(sources: Sources) -> Iterator[list[str]]:
    """Cycles among the ground floor's modules, which may build on each other."""
    ground = {room_of(path): path for path in sources if floor_of(room_of(path)) == 0}
    below = {room: {target_room(name, set(ground)) for _, name in imported_names(path, sources[path])
                    if name.split(".")[0] == "pydib"} & set(ground) - {"__init__", room}
             for room, path in ground.items()}

    def walk(room: str, trail: list[str]) -> Iterator[list[str]]:
        if room in trail:
            yield [*trail[trail.index(room):], room]
            return
        for lower in sorted(below[room]):
            yield from walk(lower, [*trail, room])

    for room in sorted(below):
        yield from (cycle for cycle in walk(room, []) if cycle[0] == room == min(cycle))


def our_sources() -> dict[str, str]:
    """Everything in pydib/ but the data of an installed wheel."""
    base = Path(pydib.__file__).parent
    files = (path for path in base.rglob("*.py") if path.relative_to(base).parts[0] not in ("_data", "lib"))
    return {path.relative_to(base).as_posix(): path.read_text() for path in files}


def test_pydib_keeps_to_its_floors() -> None:
    sources = our_sources()
    assert len(sources) > 20
    assert violations(sources) == []


@pytest.mark.parametrize(("path", "source", "problem"), [
    pytest.param("element/x.py", "from pydib.host.command import run", "from floor 2, above its own", id="up"),
    pytest.param("phase/x.py", "import pydib.host.command", "a room on its own floor", id="sideways"),
    pytest.param("image/x.py", "def f():\n    from pydib import blockdev", "a room on its own floor", id="late"),
    pytest.param("recipe.py", "if TYPE_CHECKING:\n    from pydib.build import Build", "floor 1 imports build",
                 id="for-type-checkers"),
    pytest.param("host/x.py", "from ..runner import y", "floor 2 imports runner", id="relative"),
    pytest.param("host/x.py", "from .. import runner", "floor 2 imports runner", id="relative-package"),
    pytest.param("host/deep/x.py", "from ...runner import y", "floor 2 imports runner", id="relative-deep"),
    pytest.param("report/x.py", "import importlib\nimportlib.import_module('pydib.cli.main')", "floor 4 imports cli",
                 id="by-name"),
    pytest.param("attic/x.py", "", "attic is on no floor", id="unknown-room"),
    pytest.param("runner/x.py", "import sh", "imports sh, which only host/command.py may", id="sh"),
    pytest.param("host/x.py", "import importlib\nimportlib.import_module('sh')", "imports sh", id="sh-by-name"),
    pytest.param("cli/x.py", "from jinja2 import Template", "imports jinja2", id="jinja2"),
    pytest.param("verify/boot.py", "import guestfs", "imports guestfs", id="guestfs"),
    pytest.param("cli/x.py", "import pytest", "imports pytest", id="pytest"),
    pytest.param("element/x.py", "from pyfakefs.fake_filesystem import FakeFilesystem", "imports pyfakefs",
                 id="pyfakefs"),
    pytest.param("image/x.py", "import subprocess", "imports subprocess, which only host/ may", id="subprocess"),
])
def test_a_bad_import_is_found(path: str, source: str, problem: str) -> None:
    found = violations({path: source})
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize(("path", "source"), [
    pytest.param("host/x.py", "from pydib import __version__, paths\nimport os", id="down"),
    pytest.param("host/x.py", "from pydib.host.command import run\nfrom .command import run", id="own-room"),
    pytest.param("sizes.py", "from pydib.errors import InputError", id="ground-on-ground"),
    pytest.param("testkit/x.py", "import pytest", id="door"),
])
def test_a_good_import_is_left_alone(path: str, source: str) -> None:
    assert violations({path: source}) == []


def test_a_cycle_on_the_ground_is_found() -> None:
    sources = {"errors.py": "from pydib import sizes", "sizes.py": "from pydib.errors import InputError"}
    assert violations(sources) == ["the ground floor has a cycle: errors -> sizes -> errors"]
