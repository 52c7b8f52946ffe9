"""Which scripts of a folder run, and in which order: ours beside dib-run-parts (contract section 4)."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydib.element.hooks import SCRIPT_NAME, environment_files, scripts_in
from pydib.errors import HookFailed
from pydib.events import Output, ScriptStarted
from pydib.host.script import Launcher
from pydib.runner.phase import PhaseRun, Tail, run_phase
from tests.contract.compare import Family, ShellOracle

PIECES = ("-5neg", "00-zero", "ABC", "_u", "abc", "1e3x", "9-nine", "9a", "010-octal", "10-ten", "10_x", "27-link",
          "050-c",
          "50-B", "50-a", "100-hundred", "0", "007", "--9", "- 5", "a b", "50-x.sh", "x~", ".hidden", "README", "é",
          "12345678901234567890-big", "-", "__", "99-z", "A-x", "9-a", "11-c", "10-b", "zz.env", "10-a.bash", "a+b",
          "a,b",
          "a'b", "a\\b", "*", "[a]", "tab\tx")


def make_folder(dice: random.Random, folder: Path) -> None:
    """A folder with all kinds of entries."""
    folder.mkdir(parents=True)
    (folder.parent / "target").write_text("#!/bin/sh\n")
    kinds = (*("script",) * 4, "plain", "link", "plain link", "dangling", "folder", "folder link", "fifo")
    for name in dice.sample(PIECES, dice.randint(0, 12)):
        path = folder / name
        kind = dice.choice(kinds)
        if kind in ("script", "plain"):
            path.write_text("#!/bin/sh\n")
            path.chmod(dice.choice((0o755, 0o700, 0o711, 0o645, 0o654)) if kind == "script" else 0o644)
        elif kind == "folder":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to({"link": "/bin/sh", "plain link": "../target", "dangling": "nowhere",
                             "folder link": "/etc"}[kind])


@pytest.mark.family("run-parts, names and order")
@pytest.mark.contract("C-083", "C-084", "C-085", "C-086", "C-103")
def test_scripts_of_odd_folders(family: Family, shell_oracle: ShellOracle, tmp_path: Path) -> None:
    dice = random.Random(7)
    patterns = ("", "", "", "", r"^[0-9]+-[a-z]+$", r"^[a-z]", r"\.sh$", "a|9", "^[0-9A-Z_-]{2,4}$")
    for number in range(160):
        folder, pattern = tmp_path / f"{number}" / "x.d", dice.choice(patterns)
        make_folder(dice, folder)
        text, code = shell_oracle.ask("run_parts_list", str(folder), pattern)
        theirs = ([line.removeprefix("./") for line in text.splitlines()], code)
        mine = list(scripts_in(folder, name_pattern=pattern or SCRIPT_NAME).names)
        family.compare((pattern, sorted(os.listdir(folder))), theirs, (mine, 0))
    family.finish()


@pytest.mark.family("run-parts, environment.d order")
@pytest.mark.contract("C-087", "C-088")
def test_environment_files_of_odd_folders(family: Family, shell_oracle: ShellOracle, tmp_path: Path) -> None:
    dice = random.Random(8)
    for number in range(60):
        tree = tmp_path / f"{number}"
        make_folder(dice, tree / "environment.d")
        for path in (tree / "environment.d").iterdir():
            if path.is_file():  # what a link leads to may be anything, but must be harmless to source
                path.unlink()
                path.write_text(":\n")
        (tree / "x.d").mkdir()
        text, code = shell_oracle.ask("run_parts", str(tree / "x.d"))
        read = [re.sub(r".*/", "", line) for line in text.splitlines() if "Sourcing environment file" in line]
        family.compare(sorted(os.listdir(tree / "environment.d")), (read, code), (list(environment_files(tree)), 0))
    family.finish()


@pytest.fixture
def launcher() -> Iterator[tuple[Launcher, Tail, list[object]]]:
    events: list[object] = []
    tail = Tail(events.append)
    with Launcher(tail) as running:
        yield running, tail, events


BODIES = ("#!/bin/sh\necho $0 | sed s,.*/,,\n", "echo bare; [[ -n x ]]\n", "", "#!/bin/sh\necho \"V=${VALUE-}\"\n",
          "#!/bin/sh\npwd\n", "#!/bin/sh\nexit 3\n", "#!/bin/sh\nkill -TERM $$\n", "#!/no/such/program\n",
          "#!/bin/sh\r\necho\n", "#!/bin/bash\nset -e\nfalse\necho no\n")
SETTINGS = ("export VALUE=a", "export VALUE=${VALUE:-x}b", "VALUE=c", "export VALUE+=' more'", "[[ -n '' ]] && x=1",
            "cd /tmp",
            "set +e", ": ${NOT_THERE:?must be set}", "exit 0", "exit 7", "return 0", "echo $NOT_THERE",
            "export VALUE=$'two\nlines'", "f() { echo f; }; export -f f", "umask 077", "set -x", "unset PATH_X")


@pytest.mark.family("run-parts, execution")
@pytest.mark.contract("C-089", "C-091", "C-093", "C-095", "C-096", "C-097", "C-098", "C-099")
def test_what_runs_and_with_which_code(family: Family, shell_oracle: ShellOracle, tmp_path: Path,
                                       launcher: tuple[Launcher, Tail, list[object]]) -> None:
    dice = random.Random(9)
    for number in range(70):
        tree = tmp_path / f"{number}"
        (tree / "x.d").mkdir(parents=True)
        for name in dice.sample(("10-a", "9-b", "20-c", "5-d", "abc"), dice.randint(1, 4)):
            (tree / "x.d" / name).write_text(dice.choice(BODIES if dice.random() < 0.5 else BODIES[:5]))
            (tree / "x.d" / name).chmod(0o755)
        if dice.random() < 0.6:
            (tree / "environment.d").mkdir()
            for name in dice.sample(("10-x", "9-y.bash", "20-z"), dice.randint(1, 2)):
                (tree / "environment.d" / name).write_text(dice.choice(SETTINGS) + "\n")
        described = {str(path.relative_to(tree)): path.read_text()
                     for path in sorted(tree.rglob("*")) if path.is_file()}
        family.compare(described, their_run(shell_oracle, tree), our_run(tree, *launcher))
    family.finish()


def their_run(oracle: ShellOracle, tree: Path) -> tuple[int, list[str], list[str]]:
    """Exit code, scripts that were started, and what they printed."""
    text, code = oracle.ask("run_parts", str(tree / "x.d"))
    lines = text.splitlines()
    started = [re.sub(r".*/", "", line) for line in lines if re.match(r"dib-run-parts Running ", line)]
    return code, started, [line for line in lines if not line.startswith(("dib-run-parts", "+", "Terminated"))
                           and "/" not in line]


def our_run(tree: Path, launcher: Launcher, tail: Tail, events: list[object]) -> tuple[int, list[str], list[str]]:
    """The same of ours."""
    events.clear()
    code = 0
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C", "TMPDIR": str(tree)}
    try:
        run = PhaseRun(phase="x", directory="x.d", tree=tree, seen_as=str(tree), env=env, cwd=os.getcwd())
        run_phase(run, launcher, tail, events.append)
    except HookFailed as failed:
        code = failed.exit_code
    started = [event.script.removeprefix("x.d/") for event in events if isinstance(event, ScriptStarted)]
    output = [line for event in events if isinstance(event, Output) for line in event.lines]
    return code, started, [line for line in output if not line.startswith(("dib-run-parts", "+")) and "/" not in line]
