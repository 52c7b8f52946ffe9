"""The oracle, and how many cases were compared with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import oracle  # noqa: E402
from tests.contract.betterments import BETTERMENTS  # noqa: E402
from tests.contract.compare import Family, PythonOracle, ShellOracle  # noqa: E402

FAMILIES: dict[str, Family] = {}


@pytest.fixture(scope="session")
def oracle_environment() -> Path:
    """The virtual environment with the oracle, installed when it is missing."""
    try:
        return oracle.install()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"diskimage-builder {oracle.VERSION} cannot be installed here: {error}")


@pytest.fixture(scope="session")
def real_elements(oracle_environment: Path) -> Path:
    """The oracle's own elements."""
    return oracle.elements_folder()


@pytest.fixture(scope="session")
def oracles(oracle_environment: Path) -> Iterator[Callable[[int], PythonOracle]]:
    """A helper process for each hash seed."""
    running: dict[int, PythonOracle] = {}

    def with_seed(seed: int) -> PythonOracle:
        if seed not in running:
            running[seed] = PythonOracle(oracle_environment, hash_seed=seed)
        return running[seed]

    yield with_seed
    for each in running.values():
        each.close()


@pytest.fixture(scope="session")
def python_oracle(oracles: Callable[[int], PythonOracle]) -> PythonOracle:
    """The helper process with hash seed 0."""
    return oracles(0)


@pytest.fixture(scope="session")
def shell_oracle(real_elements: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShellOracle]:
    """A bash with the oracle's functions; the code that it has only inside its program is cut out of it."""
    lib = real_elements.parent / "lib"
    program = (lib / "disk-image-create").read_text(encoding="utf-8")
    sizes = tmp_path_factory.mktemp("oracle") / "sizes"
    begin = 'if [ -n "$DIB_IMAGE_SIZE" ]; then\n    du_size'
    sizes.write_text(_between(program, begin, "# Try the 'old fashioned' way"))
    common = (lib / "common-functions").read_text(encoding="utf-8")
    Path(f"{sizes}.functions").write_text(_between(common, "function _arg_defaults_hack", "function create_base"))
    running = ShellOracle(lib, sizes)
    yield running
    running.close()


def _between(text: str, start: str, end: str) -> str:
    begin = text.index(start)
    return text[begin:text.index(end, begin)]


@pytest.fixture
def family(request: pytest.FixtureRequest) -> Family:
    """The family that the test's `family` marker names."""
    name = request.node.get_closest_marker("family").args[0]
    return FAMILIES.setdefault(name, Family(name, [each for each in BETTERMENTS if each.family == name]))


def pytest_configure(config: pytest.Config) -> None:
    """Our marker."""
    config.addinivalue_line("markers", "family(name): the family of compared cases")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases were compared."""
    if not FAMILIES:
        return
    for found in FAMILIES.values():
        terminalreporter.write_line(f"contract: {found.name}: {found.cases} cases, {len(found.differences)} "
                                    f"differences, {found.explained} deliberate")
    cases = sum(found.cases for found in FAMILIES.values())
    wrong = sum(len(found.differences) for found in FAMILIES.values())
    meant = sum(found.explained for found in FAMILIES.values())
    terminalreporter.write_line(f"contract: {cases} cases compared with diskimage-builder {oracle.VERSION}, "
                                f"{wrong} differences, {meant} deliberate")
