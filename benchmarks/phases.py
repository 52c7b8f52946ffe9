"""Execution of one phase, ours beside DIB's own runner: scripts that do nothing, print a lot, or take their time; on
the host, and in a target.

`python -m benchmarks.phases TREE [ROOT]` runs the phase `install` of the hook tree TREE as a build does, the program's
start included; its log, with the time in each line, goes to stdout. The baseline is DIB's `dib-run-parts` on the same
folder, through DIB's own filter that puts the time into each line; in the target it is called through chroot(1), as DIB
does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import oracle
from benchmarks.harness import Result, Side, compare

EMPTY, CHATTY, SLOW = "empty", "chatty", "slow"
CHATTY_MIB = 100
TEXT = {
    EMPTY: "#!/bin/sh\n",
    CHATTY: "#!/bin/sh\nyes 'a line of some eighty characters, as package managers and compilers print them all day' "
            "| head -c {bytes}\n",
    SLOW: "#!/bin/sh\nsleep 0.05\n",
}
PROGRAMS = ("bash", "sh", "sleep", "yes", "head", "date", "find", "grep", "sed", "sort", "tr", "cut", "basename",
            "dirname", "mktemp", "rm", "cat", "env", "ls", "touch", "mkdir", "awk", "bc", "xargs", "readlink", "chmod",
            "printf", "wc")
"""What scripts and DIB's runner need in the target."""
COUNTS = (10, 100, 1000)
GOAL = 0.2
"""Of DIB's runner, for 1,000 empty scripts."""
_INSIDE = "/tmp/in_target.d"


def phases(place: Path, runs: int) -> list[Result]:
    """All cases."""
    root = place / "root"
    _make_root(root)
    found = []
    for kind, counts in ((EMPTY, COUNTS), (CHATTY, (10,)), (SLOW, (100,))):
        for count in counts:
            tree = place / f"{kind}{count}"
            _fill(tree, kind, count)
            for target in (None, root):
                found.append(_case(tree, kind, count, target, runs))
    return found


def _case(tree: Path, kind: str, count: int, root: Path | None, runs: int) -> Result:
    env = {"PATH": os.environ["PATH"], "HOME": "/root", "LC_ALL": "C"}
    here = Path(__file__).resolve().parent.parent
    library = oracle.elements_folder().parent / "lib"
    runner, log = str(library / "dib-run-parts"), str(library / "outfilter.py")
    logged = ["bash", "-c", 'log=$1; shift; set -o pipefail; "$@" 2>&1 | "$log" -v', "runner", log]
    ours = Side(name="pydib", env=env, cwd=here,
                argv=[sys.executable, "-m", "benchmarks.phases", str(tree), *([str(root)] if root else [])])
    theirs = Side(name="dib-run-parts", argv=[*logged, "bash", runner, str(tree / "install.d")], env=env, cwd=here)
    if root is None:
        return compare(_name(kind, count, "host"), ours, theirs, runs=runs, goal=_goal(kind, count))
    shutil.copyfile(runner, root / "usr/bin/dib-run-parts")
    theirs = Side(name="dib-run-parts, chroot", env={**env, "PATH": "/usr/bin"}, cwd=here, argv=[
        *logged, "/usr/sbin/chroot", str(root), "bash", "/usr/bin/dib-run-parts", f"{_INSIDE}/install.d"])
    with _mounted(tree, root / _INSIDE.lstrip("/")), _mounted(Path("/dev"), root / "dev"):
        return compare(_name(kind, count, "target"), ours, theirs, runs=runs, goal=_goal(kind, count))


def _goal(kind: str, count: int) -> float | None:
    return GOAL if (kind, count) == (EMPTY, max(COUNTS)) else None


def _name(kind: str, count: int, where: str) -> str:
    more = {EMPTY: "empty", CHATTY: f"printing {CHATTY_MIB} MiB together", SLOW: "taking 50 ms each"}[kind]
    return f"{count:,} scripts, {more}, {where}"


def _fill(tree: Path, kind: str, count: int) -> None:
    folder = tree / "install.d"
    folder.mkdir(parents=True)
    for number in range(count):
        script = folder / f"{number:04d}-{kind}"
        script.write_text(TEXT[kind].replace("{bytes}", str((CHATTY_MIB << 20) // count)))
        script.chmod(0o755)


def _make_root(root: Path) -> None:
    """A target with the host's programs and their libraries."""
    for name in ("usr/bin", "tmp/in_target.d", "dev", "proc", "root", "etc"):
        (root / name).mkdir(parents=True)
    for name, to in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
        (root / name).symlink_to(to)
    paths = [path for path in map(shutil.which, PROGRAMS) if path]
    told = subprocess.run(["ldd", *paths], capture_output=True, text=True, check=False).stdout
    words = {word for line in told.splitlines() for word in line.split()}
    libraries = {word for word in words if word.startswith("/") and ":" not in word}
    for path in [*paths, *sorted(libraries)]:
        inside = root / os.path.realpath(os.path.dirname(path)).lstrip("/") / os.path.basename(path)
        if path in paths:
            inside = root / "usr/bin" / os.path.basename(path)
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, inside)
        inside.chmod(0o755)


@contextmanager
def _mounted(source: Path, target: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


def run(tree: Path, root: Path | None) -> None:
    """Run the phase, as pydib/build/actions.py does."""
    from pydib.host.script import Launcher
    from pydib.recipe import Wishes
    from pydib.report.reporters import reporter
    from pydib.runner.phase import PhaseRun, Tail, run_phase

    with reporter(Wishes()) as report:
        tail = Tail(report)
        with Launcher(tail) as launcher:
            wanted = PhaseRun(phase="install", directory="install.d", tree=tree, root=root, cwd="/",
                              seen_as=_INSIDE if root else str(tree), env={**os.environ, "PATH": "/usr/bin:/bin"})
            run_phase(wanted, launcher, tail, report)


def main(words: Sequence[str]) -> None:
    """Run what the arguments name."""
    run(Path(words[0]), Path(words[1]) if len(words) > 1 else None)


if __name__ == "__main__":
    main(sys.argv[1:])
