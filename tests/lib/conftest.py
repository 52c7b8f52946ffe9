"""Driving the bash library: each test starts a bash that sources it, as scripts of elements do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LIB = ROOT / "pydib" / "lib"
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import oracle  # noqa: E402

Bash = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def lib() -> Path:
    """What scripts see as `$_LIB`."""
    return LIB


@pytest.fixture(scope="session")
def oracle_lib() -> Path:
    """The oracle's library, to compare answers."""
    try:
        return oracle.elements_folder().parent / "lib" if oracle.install() else Path()
    except (OSError, IndexError, subprocess.CalledProcessError) as error:
        pytest.skip(f"diskimage-builder {oracle.VERSION} cannot be installed here: {error}")


def run_bash(lib: Path, sourced: str, code: str, env: Mapping[str, str] | None = None,
             arguments: tuple[str, ...] = (), cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Source the named files of `lib` under `set -eu -o pipefail`, then run `code`; only `env` and PATH are set."""
    lines = ["set -eu -o pipefail", *(f'. "$_LIB/{name}"' for name in sourced.split()), code]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "_LIB": str(lib), **(env or {})}
    return subprocess.run(["bash", "-c", "\n".join(lines), "script", *arguments], env=environment, cwd=cwd,
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def bash(lib: Path) -> Bash:
    """`bash("img-functions", "code", env={...})`: run code after sourcing files of the library."""
    def start(sourced: str, code: str, **more: object) -> subprocess.CompletedProcess[str]:
        return run_bash(lib, sourced, code, **more)  # type: ignore[arg-type]
    return start
