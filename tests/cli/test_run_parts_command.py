"""`dib-run-parts` outside a build: streams, messages, exit codes (contract section 4)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from pydib.cli.run_parts_command import run; run()"]


class Folder:
    """A tree with the folder `x.d` and its environment.d."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        (tree / "x.d").mkdir()

    def script(self, name: str, text: str, *, mode: int = 0o755) -> None:
        path = self.tree / "x.d" / name
        path.write_text(text)
        path.chmod(mode)

    def environment(self, name: str, text: str) -> None:
        (self.tree / "environment.d").mkdir(exist_ok=True)
        (self.tree / "environment.d" / name).write_text(text)

    def run(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*PROGRAM, *arguments], cwd=self.tree, env={**os.environ, **env}, input=stdin, text=True,
                              capture_output=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.contract("C-085", "C-096", "C-100")
def test_scripts_run_in_order_with_the_callers_streams(folder: Folder) -> None:
    folder.script("10-b", "#!/bin/sh\nread line\necho \"second $line $#\"\n")
    folder.script("9-a", "#!/bin/sh\necho first\necho aside >&2\n")
    done = folder.run("x.d", stdin="from stdin\n")
    assert done.returncode == 0
    assert done.stdout == "first\nsecond from stdin 0\n"
    assert "aside\n" in done.stderr


@pytest.mark.contract("C-102")
def test_messages_and_table_on_stderr(folder: Folder) -> None:
    for name in ("100-c", "9-a", "10-b"):
        folder.script(name, "#!/bin/sh\n")
    folder.environment("10-e", "export A=1\n")
    lines = folder.run("x.d").stderr.splitlines()
    told = [line.removeprefix("dib-run-parts ") for line in lines if line.startswith("dib-run-parts ")]
    assert told[0].startswith("Sourcing environment file /")
    assert told[1:7] == ["Running x.d/9-a", "9-a completed", "Running x.d/10-b", "10-b completed",
                         "Running x.d/100-c", "100-c completed"]
    assert "Target: x.d" in told
    rows = [line for line in told if re.fullmatch(r"\S+ +\d+\.\d{3}", line)]
    assert [row.split()[0] for row in rows] == ["10-b", "100-c", "9-a"]
    assert all(len(row) == 51 for row in rows)


@pytest.mark.contract("C-102")
def test_an_empty_folder_has_a_table_too(folder: Folder) -> None:
    done = folder.run("x.d")
    assert done.returncode == 0
    assert "Target: x.d" in done.stderr


@pytest.mark.contract("C-083", "C-102")
def test_the_folder_may_have_any_name(folder: Folder) -> None:
    (folder.tree / "x.d").rename(folder.tree / "scripts")
    assert "dib-run-parts Target: scripts\n" in folder.run("scripts").stderr


@pytest.mark.contract("C-099", "C-102")
@pytest.mark.parametrize(("text", "code"), [
    ("#!/bin/sh\nexit 42\n", 42), ("#!/bin/sh\nkill -TERM $$\n", 143), ("#!/no/such/program\n", 127),
])
def test_the_first_failure_ends_all_with_its_code(folder: Folder, text: str, code: int) -> None:
    folder.script("10-fails", text)
    folder.script("20-never", "#!/bin/sh\necho never\n")
    done = folder.run("x.d")
    assert done.returncode == code
    assert "never" not in done.stdout
    assert f"10-fails failed: exit code {code}" in done.stderr
    assert "PROFILING" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.contract("C-087", "C-091", "C-095")
def test_environment_files_beside_the_folder_are_sourced(folder: Folder) -> None:
    folder.environment("10-e", "PLAIN=plain\nexport SEEN=seen\n")
    folder.script("10-s", "#!/bin/sh\necho ${PLAIN-unset} $SEEN $GIVEN\n")
    assert folder.run("x.d", GIVEN="given").stdout == "unset seen given\n"


@pytest.mark.contract("C-091")
@pytest.mark.parametrize(("text", "code"), [("exit 7\n", 7), ("false\n", 1), ("exit 0\n", 0)])
def test_an_environment_file_can_end_it(folder: Folder, text: str, code: int) -> None:
    folder.environment("10-e", text)
    folder.script("10-s", "#!/bin/sh\necho never\n")
    done = folder.run("x.d")
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.contract("C-097")
def test_scripts_without_first_line_are_bash(folder: Folder) -> None:
    folder.script("10-s", "a=(x y)\necho ${a[1]}\n")
    assert folder.run("x.d").stdout == "y\n"


@pytest.mark.contract("C-101")
def test_a_process_left_behind_is_not_waited_for(folder: Folder) -> None:
    folder.script("10-s", "#!/bin/sh\nsleep 30 >/dev/null 2>&1 </dev/null &\necho $!\n")
    done = subprocess.run([*PROGRAM, "x.d"], cwd=folder.tree, capture_output=True, text=True, timeout=20, check=True)
    os.kill(int(done.stdout), 9)


@pytest.mark.contract("C-084")
def test_names_that_do_not_match_are_told_when_tracing(folder: Folder) -> None:
    folder.script("10-a.sh", "#!/bin/sh\necho never\n")
    assert "Ignoring" not in folder.run("x.d").stderr
    assert "dib-run-parts Ignoring x.d/10-a.sh" in folder.run("x.d", DIB_DEBUG_TRACE="1").stderr
    assert folder.run("x.d", RUN_PARTS_REGEX=r"\.sh$").stdout == "never\n"


@pytest.mark.contract("C-083", "C-085", "C-086", "C-103")
def test_list_prints_paths_in_order_and_runs_nothing(folder: Folder) -> None:
    for name in ("-5neg", "00-zero", "ABC", "_u", "abc", "9-nine", "9a", "010-octal", "10-ten", "10_x", "50-B", "50-a",
                 "100-hundred"):
        folder.script(name, "#!/bin/sh\necho ran\n")
    folder.script("20-plain", "echo ran\n", mode=0o644)
    (folder.tree / "x.d/25-folder").mkdir()
    (folder.tree / "x.d/27-link").symlink_to("9-nine")
    (folder.tree / "x.d/28-dangling").symlink_to("nowhere")
    folder.environment("10-e", "echo sourced\n")
    done = folder.run("--list", "./x.d")
    assert done.stdout.split() == [f"./x.d/{name}" for name in (
        "-5neg", "00-zero", "ABC", "_u", "abc", "9-nine", "9a", "010-octal", "10-ten", "10_x", "27-link", "50-B",
        "50-a", "100-hundred")]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.contract("C-103")
def test_list_of_an_empty_folder(folder: Folder) -> None:
    done = folder.run("--list", "x.d")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.contract("C-103")
@pytest.mark.parametrize("arguments", [[], ["--list"], ["nosuch"], ["--list", "nosuch"], ["--frob", "x.d"], [""]])
def test_usage_on_stderr_without_a_folder(folder: Folder, arguments: list[str]) -> None:
    done = folder.run(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("dib-run-parts ")
    assert "Usage: dib-run-parts" in done.stderr


def test_help(folder: Folder) -> None:
    done = folder.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: dib-run-parts")
