"""Layers with the real kernel: which scripts run when something changed, and that the image is right all the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.machine.conftest import Builder, left_in_the_kernel

pytestmark = pytest.mark.machine

HEAD = "#!/bin/bash\nset -eu -o pipefail\n"


class LayeredBuilder(Builder):
    """Builds an image of a few elements again and again, and tells which scripts ran."""

    def __init__(self, folder: Path, fixtures: Path) -> None:
        super().__init__(folder, fixtures)
        self.cache = folder / "home/.cache/image-create"
        self.store = self.cache / "layers"
        self.options: list[str] = ["-t", "tar"]
        self.names = ["tiny-os", "first", "second"]
        self.log = ""
        self.reasons: dict[str, str] = {}

    def build(self, *options: str, expect: int = 0, **environment: str) -> list[str]:
        """Build; gives the scripts that ran, in order."""
        log = self.out / "events"
        log.unlink(missing_ok=True)
        argv = self.argv()
        command = [argv[0], "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "--progress", "lines",
                   "-o", str(self.out / "disk"), "--events", str(log), *self.options, *options, *self.names]
        done = subprocess.run(command, env={**self.environment, **environment}, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              errors="surrogateescape", cwd=self.out)
        self.log = done.stdout
        assert done.returncode == expect, done.stdout
        happened = [json.loads(line) for line in log.read_text().splitlines()]
        self.reasons = {event["script"]: event["reason"] for event in happened if event["event"] == "ScriptStarted"}
        return list(self.reasons)

    def tree(self) -> dict[str, str]:
        """All that there is in the image, by name."""
        there = self.out / "tree"
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir()
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xpf", self.out / "disk.tar", "-C", there],
                       check=True)
        return described(there)


def described(top: Path) -> dict[str, str]:
    """Type, mode, owner, content, extended attributes, and hard links of everything below `top`."""
    first: dict[int, str] = {}
    found = {}
    for path in sorted([top, *top.rglob("*")]):
        info = path.lstat()
        name = str(path.relative_to(top))
        facts = [f"{info.st_mode:o} {info.st_uid}:{info.st_gid}"]
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


@pytest.fixture
def layered(tmp_path: Path, fixtures: Path) -> Iterator[LayeredBuilder]:
    made = LayeredBuilder(tmp_path, fixtures)
    yield made
    assert left_in_the_kernel(tmp_path) == []
    assert made.processes() == []
    assert list(made.temporary.iterdir()) == []
    assert list((made.store / "w").iterdir()) == []
    assert list((made.store / "leases").iterdir()) == []


ROOT = ["root.d/10-tiny-os", "root.d/50-first"]
ALWAYS = ["extra-data.d/50-fetch", "post-root.d/50-look", "cleanup.d/50-tidy"]
TARGET = ["pre-install.d/10-first", "pre-install.d/20-quiet", "install.d/10-reads", "install.d/20-sources",
          "install.d/30-names-image", "install.d/40-last", "post-install.d/10-first"]
ALL = sorted([*ROOT, *ALWAYS, *TARGET])


@pytest.fixture
def project(layered: LayeredBuilder) -> LayeredBuilder:
    """Two elements with a script of each kind, built once."""
    write = layered.script
    write("first", "root.d/50-first", HEAD + "echo root >$TARGET_ROOT/etc/root-ran\n")
    write("first", "extra-data.d/50-fetch", HEAD + "cat $(dirname $0)/../outside >$TMP_MOUNT_PATH/etc/fetched\n"
          "mkdir -p $TMP_HOOKS_PATH/fetched; cat $(dirname $0)/../outside >$TMP_HOOKS_PATH/fetched/data\n")
    write("first", "outside", "world 1\n", mode=0o644)
    write("first", "pre-install.d/10-first", HEAD + "echo pre >>/etc/pre\n")
    write("first", "pre-install.d/20-quiet", HEAD + "cat /etc/pre >/dev/null\n")
    write("first", "install.d/10-reads", HEAD + "cat $(dirname $0)/../files/data >/etc/read\n")
    write("first", "files/data", "data 1\n", mode=0o644)
    write("first", "files/unread", "nobody reads this\n", mode=0o644)
    write("second", "install.d/20-sources", HEAD + ". $(dirname $0)/../lib/functions\nsay >/etc/sourced\n")
    write("second", "lib/functions", "say() { echo said 1; }\n", mode=0o644)
    write("second", "install.d/30-names-image", HEAD + "echo $IMAGE_NAME >/etc/image-name\n")
    write("second", "install.d/40-last", HEAD + "echo last >/etc/last\n")
    write("second", "post-install.d/10-first", HEAD + "cat /etc/last >/etc/after-last\n")
    write("second", "post-root.d/50-look", HEAD + "cat $TMP_MOUNT_PATH/etc/last >/dev/null\n")
    write("second", "cleanup.d/50-tidy", HEAD + "rm -f $TARGET_ROOT/etc/after-last\n")
    write("second", "environment.d/50-second.bash", "export SECOND=1\n", mode=0o644)
    assert sorted(layered.build()) == ALL
    return layered


Change = Callable[[LayeredBuilder], None]


def text(element: str, name: str, content: str, mode: int = 0o644) -> Change:
    return lambda made: made.script(element, name, content, mode=mode)


def script(element: str, name: str, content: str) -> Change:
    return text(element, name, HEAD + content, 0o755)


def removed(element: str, name: str) -> Change:
    return lambda made: (made.elements / element / name).unlink()


def moved(element: str, old: str, new: str) -> Change:
    return lambda made: (made.elements / element / old).rename(made.elements / element / new)


def variable(name: str, value: str) -> Change:
    return lambda made: made.environment.update({name: value})


def option(*words: str) -> Change:
    return lambda made: made.options.extend(words)


def touched(element: str, name: str) -> Change:
    return lambda made: os.utime(made.elements / element / name)


def from_script(first: str) -> list[str]:
    """The scripts of the target from `first` on."""
    return TARGET[TARGET.index(first):]


MATRIX: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda made: None, []),
    "a script touched": (touched("first", "install.d/10-reads"), []),
    "a comment in the first script": (script("first", "pre-install.d/10-first", "echo pre >>/etc/pre # why\n"),
                                      ["pre-install.d/10-first"]),
    "what the first script does": (script("first", "pre-install.d/10-first", "echo Pre >>/etc/pre\n"), TARGET),
    "what a script in the middle does": (script("second", "install.d/20-sources", "echo other >/etc/sourced\n"),
                                         from_script("install.d/20-sources")),
    "what the last install script does": (script("second", "install.d/40-last", "echo LAST >/etc/last\n"),
                                          ["install.d/40-last", "post-install.d/10-first"]),
    "what the very last script does": (script("second", "post-install.d/10-first", "echo new >/etc/new\n"),
                                       ["post-install.d/10-first"]),
    "a script that changed nothing now does": (script("first", "pre-install.d/20-quiet", "echo >/etc/loud\n"),
                                               from_script("pre-install.d/20-quiet")),
    "a script that changes nothing says something else": (
        script("first", "pre-install.d/20-quiet", "echo quiet\n"), ["pre-install.d/20-quiet"]),
    "a script's mode": (lambda made: (made.elements / "first/install.d/10-reads").chmod(0o700), ["install.d/10-reads"]),
    "a data file that a script reads": (text("first", "files/data", "data 2\n"), from_script("install.d/10-reads")),
    "a data file with the same effect": (text("first", "files/data", "data 1\n"), []),
    "a data file that nobody reads": (text("first", "files/unread", "nobody reads this either\n"), []),
    "the mode of a data file": (lambda made: (made.elements / "first/files/unread").chmod(0o600), [*ROOT, *TARGET]),
    "a new data file": (text("first", "files/new", "may be asked for\n"), [*ROOT, *TARGET]),
    "a data file less": (removed("first", "files/unread"), [*ROOT, *TARGET]),
    "a file that a script sources, with effect": (text("second", "lib/functions", "say() { echo said 2; }\n"),
                                                  from_script("install.d/20-sources")),
    "a file that a script sources, without effect": (text("second", "lib/functions", "say() { echo said 1; } # so\n"),
                                                     ["install.d/20-sources"]),
    "an environment.d file with effect": (text("second", "environment.d/50-second.bash", "export SECOND=2\n"),
                                          [*ROOT, *TARGET]),
    "an environment.d file without effect": (text("second", "environment.d/50-second.bash",
                                                  "# once more\nexport SECOND=1\n"), []),
    "an environment variable": (variable("DIB_SOMETHING", "1"), [*ROOT, *TARGET]),
    "a variable of the terminal": (variable("COLUMNS", "77"), []),
    "the name of the image": (option("-o", "{out}/other"), ["install.d/30-names-image", "install.d/40-last",
                                                           "post-install.d/10-first"]),
    "the format of the output": (option("-t", "tar,tgz"), []),
    "a script at another position": (moved("second", "install.d/20-sources", "install.d/05-sources"),
                                     ["install.d/05-sources", "install.d/10-reads", "install.d/30-names-image",
                                      "install.d/40-last", "post-install.d/10-first"]),
    "a script that changes nothing at another position": (
        moved("first", "pre-install.d/20-quiet", "pre-install.d/30-quiet"), ["pre-install.d/30-quiet"]),
    "a script less": (removed("second", "install.d/20-sources"),
                      ["install.d/30-names-image", "install.d/40-last", "post-install.d/10-first"]),
    "a script that changed nothing less": (removed("first", "pre-install.d/20-quiet"), []),
    "one script more": (script("second", "install.d/35-more", "echo more >/etc/more\n"),
                        ["install.d/35-more", "install.d/40-last", "post-install.d/10-first"]),
    "one script more, without effect": (script("second", "install.d/35-more", "true\n"), ["install.d/35-more"]),
    "an element's order on the command line": (lambda made: made.names.reverse(), [*ROOT, *TARGET]),
    "the install type": (option("--install-type", "package"), TARGET),
    "what extra-data.d fetched": (text("first", "outside", "world 2\n"), TARGET),
    "what root.d does": (script("first", "root.d/50-first", "echo again >$TARGET_ROOT/etc/root-ran\n"),
                         ["root.d/50-first", *TARGET]),
    "a script of a phase that always runs": (script("second", "post-root.d/50-look", "true\n"), []),
    "from a script on": (option("--rebuild-from", "install.d/20-sources"), from_script("install.d/20-sources")),
    "layers too old": (option("--max-age", "0s"), [*ROOT, *TARGET]),
    "no cache": (option("--no-cache"), [*ROOT, *TARGET]),
    "another pydib phase file": (lambda made: _other_phase(made), [
        name for name in TARGET if name.startswith("install.d/")]),
}


def _other_phase(made: LayeredBuilder) -> None:
    folder = made.elements.parent / "phases"
    folder.mkdir()
    (folder / "40-install.toml").write_text('name = "install"\nwhere = "target"\nvariables = ["TARGET_ROOT"]\n'
                                            'after = ["install-packages"]\n')
    made.options.extend(["--phases", str(folder)])


@pytest.mark.parametrize("change", MATRIX)
def test_what_runs_after_a_change(project: LayeredBuilder, change: str) -> None:
    """Exactly what must; and the image is what a build without layers makes."""
    alter, expected = MATRIX[change]
    alter(project)
    project.options = [word.format(out=project.out) for word in project.options]
    time.sleep(0.01)
    ran = project.build()
    assert sorted(ran) == sorted({*expected, *ALWAYS}), project.reasons
    if expected and "--no-cache" not in project.options:
        assert all(project.reasons.values())
