"""Builds of tiny images with the real kernel, and a look at what they leave behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ordinary_user import User, ordinary_user


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


class UserBuilder(Builder):
    """Builds as an ordinary user."""

    def __init__(self, folder: Path, user: User) -> None:
        super().__init__(folder, user.library / "fixtures")
        self.user = user
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.number, user.number)

    def argv(self, *arguments: str) -> list[str]:
        """The command line of a build without base."""
        return self.command("from pydib.cli.drop_in import disk_image_create as d; d()", "-n", "-o",
                            str(self.out / "disk"), *arguments)

    def command(self, program: str, *arguments: str, **environment: str) -> list[str]:
        """A program with pydib's library, as the user."""
        passed_on = ("ELEMENTS_PATH", "TMPDIR", "DIB_NO_TIMESTAMP", "DIB_ASSEMBLE", "OVERWRITE_OLD_IMAGE")
        env = {name: self.environment[name] for name in passed_on if name in self.environment}
        python = self.user.python(program)
        return self.user.argv(*(f"{name}={value}" for name, value in {**env, **environment}.items()), *python,
                              *arguments, cwd=self.out)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Build; stderr comes with stdout."""
        argv = self.command("from pydib.cli.drop_in import disk_image_create as d; d()", "-n", "-o",
                            str(self.out / "disk"), *arguments, **environment)
        return subprocess.run(argv, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, errors="surrogateescape")


@pytest.fixture(scope="session")
def user() -> Iterator[User]:
    """An ordinary user with subordinate ids."""
    with ordinary_user() as made:
        yield made


@pytest.fixture
def user_builder(user: User) -> Iterator[UserBuilder]:
    """A builder of an ordinary user; afterwards nothing may be left in the kernel or in the temporary directory."""
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=user.home))
    made = UserBuilder(folder, user)
    yield made
    assert left_in_the_kernel(folder) == []
    assert user.processes() == []
    assert list(made.temporary.iterdir()) == []
    shutil.rmtree(folder)
