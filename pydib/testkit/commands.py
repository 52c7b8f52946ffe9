"""Stand-ins for programs: they record how they were called and do what the test asks for."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pydib.paths import tools_dir
from pydib.testkit.mounts import overlay_attribute

SHELL = Path(__file__).parent / "shell"

PROGRAMS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "programs.yaml").read_text())
FAMILIES: dict[str, frozenset[str]] = {name: frozenset(words.split()) for name, words in PROGRAMS["families"].items()}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a program that has a stand-in.

    `stdin` is recorded for the programs that are known to read it, see `Commands.reads_stdin`.
    """

    name: str
    args: tuple[str, ...]
    cwd: str
    stdin: str = ""

    @property
    def line(self) -> str:
        """The call as one line, words joined by blanks."""
        return " ".join((self.name, *self.args))

    def matches(self, name: str, *words: str) -> bool:
        """Whether the program is `name` and `words` occur among its arguments, in this order."""
        rest = iter(self.args)
        return self.name == name and all(word in rest for word in words)


class Rule:
    """What a stand-in does when its arguments match; every method gives the rule back, for chaining."""

    def __init__(self, directory: Path, words: tuple[str, ...]) -> None:
        directory.mkdir(parents=True)
        (directory / "words").write_text("".join(word + "\0" for word in words))
        self._directory = directory
        self.exits(0)

    def exits(self, code: int) -> Rule:
        """End with this exit code (0 to 255)."""
        (self._directory / "exit").write_text(str(code))
        return self

    def prints(self, text: str) -> Rule:
        """Write `text` and a line end to stdout."""
        (self._directory / "stdout").write_text(text)
        return self

    def complains(self, text: str) -> Rule:
        """Write `text` and a line end to stderr."""
        (self._directory / "stderr").write_text(text)
        return self

    def does(self, script: str) -> Rule:
        """Run `script` (bash; the arguments are `$@`); an `exit` in it counts."""
        (self._directory / "script").write_text(script)
        return self


class Commands:
    """The programs that scripts under test find, beside the ordinary ones of the host's /usr.

    A program is *fake* (recorded, succeeds silently unless `on` says otherwise), *real* (the host's), or *missing*.
    """

    def __init__(self, kit: Path) -> None:
        self._kit = kit
        self._fake = set(PROGRAMS["everywhere"].split())
        self._missing: set[str] = set().union(*FAMILIES.values())
        self._chosen: set[str] = set()
        self._laid_out: tuple[object, ...] = ()
        for name in ("bin", "rules", "reads-stdin"):
            (kit / name).mkdir(parents=True)
        for name in ("stand-in", "run-one", "enter"):
            _install(SHELL / name, kit)
        (kit / "calls").touch()
        self.reads_stdin(*PROGRAMS["reading"].split())
        for name in PROGRAMS["echoing"].split():
            self.on(name).does("""printf '%s\\n' "$@" """)

    def family(self, name: str) -> None:
        """Have the package tools of this family (`debian`, `redhat`, `suse`, `gentoo`), and not those of the others.

        What the test has said about a program itself stays.
        """
        ours = FAMILIES.get(name, frozenset()) - self._chosen
        others = frozenset().union(*FAMILIES.values()) - self._chosen - ours
        self._fake = (self._fake - others) | ours
        self._missing = (self._missing - ours) | others

    def fake(self, *names: str) -> None:
        """Give these programs stand-ins."""
        self._chosen.update(names)
        self._fake.update(names)
        self._missing.difference_update(names)

    def real(self, *names: str) -> None:
        """Let these programs of the host be found as they are."""
        self._chosen.update(names)
        self._fake.difference_update(names)
        self._missing.difference_update(names)

    def missing(self, *names: str) -> None:
        """Let these programs not be found inside the target, even if the host has them."""
        self._chosen.update(names)
        self._missing.update(names)
        self._fake.difference_update(names)

    def reads_stdin(self, *names: str) -> None:
        """Record the standard input of these programs, too."""
        for name in names:
            (self._kit / "reads-stdin" / name).touch()

    def on(self, name: str, *words: str) -> Rule:
        """Say what `name` does when `words` occur among its arguments in this order; the last such rule counts."""
        if name in self._missing or name not in self._fake:
            self.fake(name)
        rules = self._kit / "rules" / name
        count = len(list(rules.iterdir())) if rules.exists() else 0
        return Rule(rules / f"{count:03d}", words)

    @property
    def fakes(self) -> frozenset[str]:
        """Names of the programs that have a stand-in."""
        return frozenset(self._fake)

    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in order."""
        return tuple(_parse((self._kit / "calls").read_bytes().decode("utf-8", "surrogateescape")))

    def lay_out(self, usr: Path, tools: Sequence[Path]) -> str:
        """Write the overlay's upper-most lower layer to `usr`, and give back the option `lowerdir`.

        The layer holds the stand-ins, hides missing programs and what a host's own administrator added, and offers
        `tools` (programs of elements' bin/ directories) in /usr/local/bin.
        """
        wanted = (frozenset(self._fake), frozenset(self._missing), tuple(tools))
        if wanted == self._laid_out:
            return f"{usr}:/usr"
        self._laid_out = wanted
        shutil.rmtree(usr, ignore_errors=True)
        usr.mkdir()
        for masked in PROGRAMS["masked"].split():
            if Path("/usr", masked).is_dir():
                _hide_below(usr / masked)
        places = _program_places()
        for name in self._fake:
            for place in places.get(name, ("bin",)):
                _link(usr / place / name, "/dev/pydib-testkit/stand-in")
        for name in self._missing:
            for place in places.get(name, ()):
                _white_out(usr / place / name)
        for name, target in _alternatives().items():
            if name not in self._fake | self._missing:
                _link(usr / "bin" / name, target)
        self._offer_tools(usr / "local/bin", tools)
        return f"{usr}:/usr"

    def lay_out_host(self) -> Path:
        """Write the directory that comes first on the PATH of host scripts, and give it back."""
        there = {program.name for program in os.scandir(self._kit / "bin")}
        for name in there - self._fake:
            (self._kit / "bin" / name).unlink()
        for name in self._fake - there:
            _link(self._kit / "bin" / name, "../stand-in")
        _install(tools_dir() / "sudo", self._kit / "bin")
        return self._kit / "bin"

    def _offer_tools(self, directory: Path, tools: Sequence[Path]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for tool in tools:
            _install(tool, directory)
        if not (directory / "dib-python").exists():
            _link(directory / "dib-python", "/usr/bin/python3")
        if not (directory / "sudo").exists():
            _install(tools_dir() / "sudo", directory)


def _parse(text: str) -> Iterable[Call]:
    """Calls from the record that `shell/stand-in` writes: fields ended by NUL, each call by an empty field."""
    fields: list[str] = []
    for field in text.split("\0"):
        if field:
            fields.append(field)
        elif fields:
            values = [entry.partition("=")[2] for entry in fields]
            yield Call(name=values[0], cwd=values[1], stdin=values[2], args=tuple(values[3:]))
            fields = []


@cache
def _program_places() -> dict[str, tuple[str, ...]]:
    """In which directories of the host's /usr each program lies."""
    places: dict[str, tuple[str, ...]] = {}
    for place in ("bin", "sbin"):
        directory = Path("/usr", place)
        if directory.is_symlink():  # distributions that have merged sbin into bin
            continue
        for program in os.scandir(directory):
            places[program.name] = (*places.get(program.name, ()), place)
    return places


@cache
def _alternatives() -> dict[str, str]:
    """Programs that the host finds through /etc/alternatives, and where they end; a fake root has its own /etc."""
    found = {}
    for entry in os.scandir("/usr/bin"):
        if entry.is_symlink() and str(Path(entry).readlink()).startswith("/etc/alternatives/"):
            target = Path(entry).resolve()
            if target.is_relative_to("/usr"):
                found[entry.name] = str(target)
    return found


def _hide_below(directory: Path) -> None:
    """Make `directory` of an overlay's lower layer hide what lower layers have in it."""
    directory.mkdir(parents=True, exist_ok=True)
    os.setxattr(directory, f"{overlay_attribute()}.overlay.opaque", b"y")


def _install(program: Path, directory: Path) -> None:
    """Copy a program, executable whatever its mode was."""
    shutil.copyfile(program, directory / program.name)
    (directory / program.name).chmod(0o755)


def _white_out(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
