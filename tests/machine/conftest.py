"""Builds of tiny images with the real kernel, and a look at what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def left_in_the_kernel(folder: Path) -> list[str]:
    """Mounts and loop devices that have to do with `folder`, as the kernel lists them."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    loops = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in (*mounts, *loops) if str(folder) in line]


class Builder:
    """Runs disk-image-create as its own process, as a user would."""

    def __init__(self, folder: Path, fixtures: Path) -> None:
        self.out = folder / "out"
        self.temporary = folder / "tmp"
        self.elements = folder / "elements"
        for path in (self.out, self.temporary, self.elements):
            path.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DIB_")},
            "ELEMENTS_PATH": f"{self.elements}:{fixtures / 'elements'}", "TMPDIR": str(self.temporary),
            "HOME": str(folder / "home"), "DIB_NO_TIMESTAMP": "1",
        }

    def script(self, element: str, name: str, text: str, *, mode: int = 0o755) -> None:
        """Give an element of this test a script."""
        path = self.elements / element / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def argv(self, *arguments: str) -> list[str]:
        """The command line of a build without base."""
        return [sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as d; d()", "-n",
                "-o", str(self.out / "disk"), *arguments]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Build; stderr comes with stdout."""
        return subprocess.run(self.argv(*arguments), env={**self.environment, **environment}, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              errors="surrogateescape", cwd=self.out)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a build, in a process group of its own."""
        return subprocess.Popen(self.argv(*arguments), env=self.environment, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def left(self) -> list[str]:
        """Names in the temporary and the output directory."""
        return sorted(path.name for folder in (self.temporary, self.out) for path in folder.iterdir())

    def processes(self) -> list[str]:
        """Command lines of living processes that name this test's folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.temporary) in line or str(self.elements) in line:
                found.append(line)
        return found


@pytest.fixture
def builder(tmp_path: Path, fixtures: Path) -> Iterator[Builder]:
    """A builder; afterwards nothing of the build may be left in the kernel or in the temporary directory."""
    made = Builder(tmp_path, fixtures)
    yield made
    assert left_in_the_kernel(tmp_path) == []
    assert made.processes() == []
    assert list(made.temporary.iterdir()) == []
