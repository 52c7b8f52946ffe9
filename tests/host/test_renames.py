"""Renames of directories are seen, whoever makes them and however they are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydib.host.renames import _KINDS, _operands

pytestmark = pytest.mark.machine

PROGRAM = """
import os, subprocess, sys
from pydib.host.renames import RenameWatch
seen = []
problem = RenameWatch(lambda path: seen.append(str(path))).begin()
assert not problem, problem
subprocess.run(sys.argv[1], shell=True, check=True, stderr=subprocess.DEVNULL)
print("\\n".join(seen))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="without no_new_privs a seccomp filter needs root")
@pytest.mark.parametrize(("what", "seen"), [
    ("mv a b", ["a"]),
    ("mv deep/one deep/two", ["deep/one"]),
    ("cd deep; mv one ../elsewhere", ["deep/one"]),
    ("mv link/one link/two", ["deep/one"]),
    ("mv link other", []),
    ("mv file other", []),
    ("mv nothing other || true", []),
    ("mv a/ b", ["a"]),
    ("unshare --mount mv a b", ["a"]),
    ("unshare --mount sh -c 'mount --bind deep root; mv root/one two || mv root/one root/two'", ["root/one"]),
    ("perl -e 'rename \"deep/one\", \"a\"'", ["deep/one"]),
    ("chroot $PWD/root /perl -e 'chdir \"/sub\"; rename \"/sub/x\", \"y\"; rename \"../sub/y\", \"z\"'",
     ["root/sub/x", "root/sub/y"]),
])
def test_directories_that_are_renamed(tmp_path: Path, what: str, seen: list[str]) -> None:
    for folder in ("a", "deep/one", "root/sub/x"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("deep")
    if "chroot" in what:
        _give_perl(tmp_path / "root")
    done = subprocess.run([sys.executable, "-c", PROGRAM, what], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert list(dict.fromkeys(done.stdout.split())) == [str(tmp_path / name) for name in seen]


@pytest.mark.skipif(os.geteuid() != 0, reason="without no_new_privs a seccomp filter needs root")
def test_who_listens_may_fail_and_renames_go_on(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    program = PROGRAM.replace("seen.append(str(path))", "1 / 0")
    subprocess.run([sys.executable, "-c", program, "mv a b; mv b c"], cwd=tmp_path, check=True, timeout=20)
    assert (tmp_path / "c").is_dir()


def _give_perl(root: Path) -> None:
    perl = Path("/usr/bin/perl")
    listed = subprocess.run(["ldd", perl], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in listed.split() if word.startswith("/")]
    for source, target in ((str(perl), root / "perl"), *((one, root / one.lstrip("/")) for one in libraries)):
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-L", source, target], check=True)
    (root / "dev").mkdir()
    (root / "dev/null").touch()  # perl asks for it


def test_an_exchange_renames_both() -> None:
    (calls, *_), *_ = _KINDS["x86_64"].values()
    assert _operands((calls,), 316, [2**64 - 100, 11, 5, 12, 2]) == [(-100, 11), (5, 12)]
    assert _operands((calls,), 316, [2**64 - 100, 11, 5, 12, 1]) == [(-100, 11)]
    assert _operands((calls,), 82, [11, 12, 0, 0, 0]) == [(-100, 11)]
