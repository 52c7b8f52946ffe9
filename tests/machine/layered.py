"""Builders of images in layers, again and again, for root and for an ordinary user; and what a tree holds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

from tests.machine.conftest import Builder, UserBuilder
from tests.ordinary_user import User


class Layered(Builder):
    """Builds an image of a few elements again and again, and tells which scripts ran."""

    def set_up(self, cache: Path) -> None:
        """Begin with an empty cache there."""
        self.cache = cache
        self.store = self.cache / "layers"
        self.options: list[str] = ["-t", "tar"]
        self.names = ["tiny-os", "first", "second"]
        self.log = ""
        self.reasons: dict[str, str] = {}

    def pydib(self, *words: str, **environment: str) -> list[str]:
        """The command line of pydib."""
        return [sys.executable, "-c", "from pydib.cli.main import run; run()", *words]

    def told(self, *words: str, stdin: str = "", expect: int = 0) -> str:
        """Run a command of pydib; gives its output."""
        done = subprocess.run(self.pydib(*words), text=True, env=self.environment, cwd=self.out, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == expect, done.stdout
        return done.stdout

    def build(self, *options: str, expect: int = 0, **environment: str) -> list[str]:
        """Build; gives the scripts that ran, in order."""
        log = self.out / "events"
        log.unlink(missing_ok=True)
        command = self.pydib("build", "--no-base", "--progress", "lines", "-o", str(self.out / "disk"), "--events",
                             str(log), *self.options, *options, *self.names, **environment)
        done = subprocess.run(command, env={**self.environment, **environment}, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              errors="surrogateescape", cwd=self.out)
        self.log = done.stdout
        assert done.returncode == expect, done.stdout
        happened = [json.loads(line) for line in log.read_text().splitlines()]
        self.reasons = {event["script"]: event["reason"] for event in happened if event["event"] == "ScriptStarted"}
        return list(self.reasons)

    def planned(self) -> dict[str, str]:
        """By script what `pydib plan` says of it: cached, runs, or depends."""
        told = self.told("plan", "--no-base", "-o", str(self.out / "disk"), *self.options, *self.names, "--json")
        return {name: one["verdict"] for name, one in json.loads(told)["layers"].items()}

    def build_refused(self, *options: str) -> None:
        """A build that does not even begin."""
        done = subprocess.run(self.pydib("build", "--no-base", "-o", str(self.out / "disk"), *self.options, *options,
                                         *self.names), env=self.environment, text=True, check=False, cwd=self.out,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.log = done.stdout
        assert done.returncode == 1, done.stdout

    def tree(self) -> dict[str, str]:
        """All that there is in the image, by name."""
        there = self.out / "tree"
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir()
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xpf", self.out / "disk.tar", "-C", there],
                       check=True)
        return described(there)


class LayeredBuilder(Layered):
    """Root's."""

    def __init__(self, folder: Path, fixtures: Path) -> None:
        super().__init__(folder, fixtures)
        self.set_up(folder / "home/.cache/image-create")


class LayeredUserBuilder(UserBuilder, Layered):
    """An ordinary user's."""

    def __init__(self, folder: Path, user: User) -> None:
        super().__init__(folder, user)
        self.set_up(user.home / ".cache/image-create")

    def pydib(self, *words: str, **environment: str) -> list[str]:
        """The command line of pydib."""
        return self.command("from pydib.cli.main import run; run()", *words, **environment)


def described(top: Path) -> dict[str, str]:
    """Type, mode, owner, content, extended attributes, and hard links of everything below `top`."""
    first: dict[int, str] = {}
    found = {}
    for path in sorted([top, *top.rglob("*")]):
        info = path.lstat()
        name = str(path.relative_to(top))
        facts = [f"{info.st_mode:o} {info.st_uid}:{info.st_gid}"]
        if info.st_mtime < time.time() - 24 * 3600:
            facts.append(str(info.st_mtime_ns))  # given on purpose, or kept by a copy
        if stat.S_ISREG(info.st_mode):
            facts.append(hashlib.sha256(path.read_bytes()).hexdigest()[:16])
            facts.append(f"{info.st_size} {'sparse' if info.st_blocks * 512 < info.st_size else ''}")
            if info.st_nlink > 1:
                facts.append("linked " + first.setdefault(info.st_ino, name))
        elif stat.S_ISLNK(info.st_mode):
            facts.append(os.readlink(path))
        elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            facts.append(str(info.st_rdev))
        facts += [f"{key}={os.getxattr(path, key, follow_symlinks=False)!r}"
                  for key in sorted(os.listxattr(path, follow_symlinks=False))]
        found[name] = " ".join(facts)
    return found
