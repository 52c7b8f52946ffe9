"""Stand-ins for programs: they record how they were called and do what the test asks for."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pydib.paths import tools_dir
from pydib.testkit.real_disk import on_the_real_disk
from pydib.testkit.session import session

SHELL = Path(__file__).parent / "shell"
KIT_FILES = ("stand-in", "run-one", "follow", "trace")
OURS = frozenset({"BASH_ENV", "PYDIB_AT", "PYDIB_TRACE", "_", "SHLVL", "OLDPWD"})
"""Variables that belong to the testkit or to the shell, not to the script."""


@cache
def programs() -> dict[str, frozenset[str]]:
    """The lists of `programs.yaml`; families as `family:NAME`."""
    lists: dict[str, Any] = yaml.load((Path(__file__).parent / "programs.yaml").read_text(), _loader())
    families = {f"family:{name}": words for name, words in lists.pop("families").items()}
    return {name: frozenset(words.split()) for name, words in {**lists, **families}.items()}


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _of_families() -> frozenset[str]:
    return frozenset().union(*(names for key, names in programs().items() if key.startswith("family:")))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a program that has a stand-in.

    Args:
        name: the program, without its directory.
        args: its arguments.
        cwd: where it was called.
        stdin: recorded for the programs that are known to read it, see `Commands.reads_stdin`.
        env: its environment.
        at: line of the bash script that called it, as `install.d/10-foo:7`; empty where no bash script did.
    """

    name: str
    args: tuple[str, ...]
    cwd: str
    stdin: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    at: str = ""
    rule: str = field(default="", repr=False, compare=False)
    """Number of the rule that answered; empty where none did."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return (self.name, *self.args)

    @property
    def line(self) -> str:
        """The call as one line, words joined by blanks."""
        return " ".join(self.argv)

    def matches(self, name: str, *words: str) -> bool:
        """Whether the program is `name` and `words` occur among its arguments, in this order."""
        rest = iter(self.args)
        return self.name == name and all(word in rest for word in words)


@dataclass(frozen=True, kw_only=True)
class Unexpected:
    """A call of a program that this test knows nothing about, and where it happened."""

    argv: tuple[str, ...]
    at: str
    why: str = "which is no ordinary program, and has no stand-in"

    def __str__(self) -> str:
        name = repr(self.argv[0])
        return (f"{self.at or 'a script'} called `{' '.join(self.argv)}`, {self.why}: say commands.fake({name}) or "
                f"commands.on({name}, ...) to record it, commands.real({name}) to let it through, or "
                f"commands.missing({name}) if it is not to be found")


@on_the_real_disk
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

    def creates(self, *paths: str, text: str = "") -> Rule:
        """Make these files, with `text` in them, and the directories that lead to them, unless they are there."""
        with (self._directory / "creates").open("a") as file:
            file.writelines(path + "\0" for path in paths)
        (self._directory / "text").write_text(text)
        return self

    def does(self, script: str) -> Rule:
        """Run `script` (bash; the arguments are `$@`); an `exit` in it counts."""
        (self._directory / "script").write_text(script)
        return self


@on_the_real_disk
class Commands:
    """The programs that scripts under test find.

    A program is *recorded* (a stand-in that succeeds silently unless `on` says otherwise), *real* (this machine's; the
    ordinary ones are), or *missing*. A call of any other program is unexpected: it fails the test.
    """

    def __init__(self, kit: Path) -> None:
        self._kit = kit
        lists = programs()
        self._fake = set(lists["everywhere"] | lists["echoing"])
        self._missing: set[str] = set(_of_families())
        self._real: set[str] = set()
        self._chosen: set[str] = set()
        self._strict = False
        for name in ("bin", "rules", "reads-stdin", "python"):
            (kit / name).mkdir(parents=True)
        for name in KIT_FILES:
            _install(SHELL / name, kit)
        _install(SHELL / "python/sitecustomize.py", kit / "python")
        _install(SHELL / "sudo", kit / "bin")
        shutil.copyfile(tools_dir() / "sudo", kit / "sudo-itself")
        (kit / "sudo-itself").chmod(0o755)
        for name in ("calls", "unexpected", "trace-lines"):
            (kit / name).touch()
        self.reads_stdin(*lists["reading"])
        for name in lists["echoing"]:
            self.on(name).does("""printf '%s\\n' "$@" """)

    def family(self, name: str) -> None:
        """Have the package tools of this family (`debian`, `redhat`, `suse`, `gentoo`), and not those of the others.

        What the test has said about a program itself stays.
        """
        ours = programs().get(f"family:{name}", frozenset()) - self._chosen
        others = _of_families() - self._chosen - ours
        self._fake = (self._fake - others) | ours
        self._missing = (self._missing - ours) | others

    def fake(self, *names: str) -> None:
        """Record these programs."""
        self._chosen.update(names)
        self._fake.update(names)
        self._missing.difference_update(names)
        self._real.difference_update(names)

    def real(self, *names: str) -> None:
        """Let these programs of the machine be found as they are."""
        self._chosen.update(names)
        self._real.update(names)
        self._fake.difference_update(names)
        self._missing.difference_update(names)

    def missing(self, *names: str) -> None:
        """Let these programs not be found, even if the machine has them; to call them is not unexpected."""
        self._chosen.update(names)
        self._missing.update(names)
        self._fake.difference_update(names)
        self._real.difference_update(names)

    def strict(self) -> None:
        """From now on a call of a recorded program is unexpected as well, unless a rule (`on`) fits it."""
        self._strict = True

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
        """Names of the programs that are recorded."""
        return frozenset(self._fake)

    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in order."""
        return tuple(_call(fields) for fields in _records(self._kit / "calls"))

    def unexpected(self) -> tuple[Unexpected, ...]:
        """The calls so far that no test should pass over."""
        found = [Unexpected(argv=tuple(fields[1:]), at=fields[0]) for fields in _records(self._kit / "unexpected")
                 if fields[1] not in self._missing]
        if self._strict:
            found += [Unexpected(argv=call.argv, at=call.at, why="for which this strict test has no rule")
                      for call in self.calls() if not call.rule]
        return tuple(found)

    def layers(self, tools: Sequence[Path], place: Path) -> list[Path]:
        """Layers of an overlay over the machine's /usr, upper-most first: programs of elements' bin/ directories in
        `place`, stand-ins, and what hides the rest."""
        return [*self._tools(tools, place), _shared(_stand_ins, frozenset(self._fake), frozenset(self._missing)),
                _shared(_ordinary, frozenset(self._real))]

    @property
    def host_directory(self) -> Path:
        """The directory that comes first on the PATH of host scripts."""
        return self._kit / "bin"

    def _tools(self, tools: Sequence[Path], place: Path) -> list[Path]:
        """/usr/local/bin, as element install-bin would leave it, with dib-python and sudo."""
        shutil.rmtree(place, ignore_errors=True)
        directory = place / "local/bin"
        directory.mkdir(parents=True)
        for tool in tools:
            _install(tool, directory)
        if not (directory / "dib-python").exists():
            (directory / "dib-python").symlink_to("/usr/bin/python3")
        if not (directory / "sudo").exists():
            _install(SHELL / "sudo", directory)
        return [place]


def _records(file: Path) -> Iterable[list[str]]:
    """Records as the scripts of `shell/` write them: each field marked by `=` and ended by NUL, each record by another
    NUL."""
    fields: list[str] = []
    for piece in file.read_bytes().decode("utf-8", "surrogateescape").split("\0"):
        if piece:
            fields.append(piece[1:])
        elif fields:
            yield fields
            fields = []


def _call(fields: Sequence[str]) -> Call:
    """From name, directory, caller, rule, number of variables, input, then variables and arguments."""
    name, cwd, at, rule, count, stdin = fields[:6]
    pairs = (entry.partition("=") for entry in fields[6:6 + int(count)])
    env = {key: value for key, _, value in pairs if key not in OURS}
    return Call(name=name, cwd=cwd, at=at, rule=rule, stdin=stdin, env=env, args=tuple(fields[6 + int(count):]))


@cache
def _program_places() -> dict[str, tuple[str, ...]]:
    """In which directories of the machine's /usr each program lies."""
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
    """Programs that the machine finds through /etc/alternatives, and where they end; a fake root has its own /etc."""
    found = {}
    for entry in os.scandir("/usr/bin"):
        if entry.is_symlink() and str(Path(entry).readlink()).startswith("/etc/alternatives/"):
            target = Path(entry).resolve()
            if target.is_relative_to("/usr"):
                found[entry.name] = str(target)
    return found


def _shared(make: Callable[..., Path], *names: frozenset[str]) -> Path:
    """A layer, made once in a session."""
    layers = session().layers
    if (make, names) not in layers:
        layers[make, names] = make(*names)
    return layers[make, names]


def _ordinary(more: frozenset[str]) -> Path:
    """The layer that hides all of the machine's /usr but libraries and the ordinary programs, and these `more`."""
    layer = session().new_directory("ordinary")
    shown = _with_targets(programs()["core"] | more)
    for name, places in _program_places().items():
        if name not in shown:
            for place in places:
                _white_out(layer / place / name)
    for name, target in _alternatives().items():
        if name in shown:
            _link(layer / "bin" / name, target)
    for masked in programs()["masked"]:
        if Path("/usr", masked).is_dir():
            _hide_below(layer / masked)
    for name in os.listdir("/usr/share"):
        if name not in programs()["share"]:
            _white_out(layer / "share" / name)
    return layer


def _with_targets(names: frozenset[str]) -> frozenset[str]:
    """These programs, and those that they are links to (`python3` is `python3.11`)."""
    shown = set(names)
    for name in names:
        for place in _program_places().get(name, ()):
            shown.add(Path("/usr", place, name).resolve().name)
    return frozenset(shown)


def _stand_ins(fake: frozenset[str], missing: frozenset[str]) -> Path:
    """The layer with stand-ins for these programs, in which those are missing. Tests share it: the stand-in itself is
    in each test's own kit."""
    layer = session().new_directory("stand-ins")
    places = _program_places()
    for name in fake:
        for place in places.get(name, ("bin",)):
            _link(layer / place / name, "/dev/pydib-testkit/stand-in")
    for name in missing:
        for place in places.get(name, ()):
            _white_out(layer / place / name)
    return layer


def _hide_below(directory: Path) -> None:
    """Make `directory` of an overlay's lower layer hide what lower layers have in it."""
    directory.mkdir(parents=True, exist_ok=True)
    os.setxattr(directory, "user.overlay.opaque", b"y")  # as the mount option userxattr wants it


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
