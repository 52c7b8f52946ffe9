"""What can be said about an element's files by reading them: the checks of DIB's dib-lint, and their exceptions; and
that its page tells of its variables.

A file leaves checks out with a line `# dib-lint: disable=NAME NAME`, a project with `ignore = NAME NAME` in section
`[dib-lint]` of tox.ini; a line is excused from `safe_sudo` and `which` by `dib-lint: NAME` in it.
"""

from __future__ import annotations

import configparser
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pydib.element.variables import GENERAL, named_in, page_of
from pydib.errors import ElementError

RULES = {
    "readme": "an element has a README.rst",
    "mddocs": "documentation is reStructuredText, not Markdown",
    "executable": "a file that begins with #! is executable",
    "shebang": "bash scripts begin with #!/bin/bash",
    "sete": "bash scripts end at the first failure (set -e)",
    "setu": "bash scripts fail on unset variables (set -u)",
    "setpipefail": "bash scripts fail when a part of a pipe does (set -o pipefail)",
    "dibdebugtrace": "bash scripts show their steps when DIB_DEBUG_TRACE is set",
    "indent": "scripts are indented by four blanks",
    "tabindent": "nothing is indented by tabs",
    "newline": "files end with a line end",
    "environment": "environment.d files are sourced: not executable, and they do not trace",
    "export": "export X=$(...) hides a failure: assign first, then export",
    "safe_sudo": "sudo in a phase on the host names a path of the build",
    "which": "command -v instead of which, which is not everywhere",
    "sorted": "element-deps is sorted",
    "yaml": "YAML files can be read",
    "pkgmap": "pkg-map is JSON",
    "python": "Python files can be read",
    "variables": "README.rst names every DIB_ variable that a script gives a default",
}
"""What each rule asks for."""

HOST_PHASES = ("root.d", "extra-data.d", "block-device.d", "finalise.d", "cleanup.d")
IN_THE_BUILD = re.compile(r"dib-lint: safe_sudo|^#|install-packages|TARGET_ROOT|IMAGE_BLOCK_DEVICE|TMP_MOUNT_PATH"
                          r"|TMP_IMAGE_PATH|TMP_HOOKS_PATH|TMP_BUILD_DIR|DIB_IMAGE_CACHE")
_WHICH = re.compile(r"(^|[;|&(!`]|\b(if|then|do|else|while|until)\s)\s*which\s")
_ASSIGNED = re.compile(r"^\s*(?:local |export |readonly )?(\w+)=(.*)")
_SKIPPED = frozenset({"__pycache__", ".git", ".tox", ".venv"})
_NOT_CHECKED = (".rst", ".yaml", ".py")
_DISABLE = "# dib-lint: disable="


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be; `line` is 0 where the whole file is meant."""

    path: Path
    line: int = 0
    rule: str
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {self.message} ({self.rule})"


@dataclass(frozen=True)
class _File:
    path: Path
    text: str
    mode: int

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @property
    def first(self) -> str:
        return self.lines[0]

    @property
    def is_python(self) -> bool:
        return self.path.suffix == ".py" or (self.first.startswith("#!") and "python" in self.first)

    @property
    def is_bash(self) -> bool:
        return bool(re.match(r"#!.*bash", self.first))

    @property
    def is_checked(self) -> bool:
        return self.path.suffix not in _NOT_CHECKED


def elements_below(folder: Path) -> list[Path]:
    """The element `folder`, or the elements in it.

    Raises:
        ElementError: there is none.
    """
    if not folder.is_dir():
        raise ElementError(f"{folder} is not a folder", hint="name an element's folder, or one with elements in it")
    if _is_element(folder):
        return [folder]
    found = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(("_", ".")))
    if not found:
        raise ElementError(f"there are no elements in {folder}", hint="name a folder with elements in it")
    return found


def _is_element(folder: Path) -> bool:
    names = ("element-deps", "element-provides", "package-installs.yaml")
    return any((folder / name).exists() for name in names) or any(child.is_dir() for child in folder.glob("*.d"))


def globally_ignored(start: Path) -> frozenset[str]:
    """Names of checks that `tox.ini` in `start` leaves out."""
    parser = configparser.ConfigParser()
    parser.read(start / "tox.ini")
    return frozenset(parser.get("dib-lint", "ignore", fallback="").split())


def lint(element: Path, *, ignored: frozenset[str] = frozenset()) -> list[Finding]:
    """All findings about one element, by path and line."""
    found = list(_about_element(element))
    for path in _files(element):
        file = _read(path)
        if file is not None:
            left_out = ignored | _disabled(file)
            found += [one for check in _CHECKS for one in check(file) if one.rule not in left_out]
    return sorted((one for one in found if one.rule not in ignored), key=lambda one: (str(one.path), one.line))


def scripts_for_shellcheck(element: Path) -> list[Path]:
    """Shell scripts of an element, and files of environment.d, which bash sources."""
    files = (file for path in _files(element) if (file := _read(path)))
    return [file.path for file in files if file.path.parent.name == "environment.d"
            or re.match(r"#!.*[/ ](ba|da)?sh\b|# shellcheck shell=", file.first)]


def _files(element: Path) -> Iterator[Path]:
    for folder, directories, names in os.walk(element):
        directories[:] = sorted(name for name in directories if name not in _SKIPPED)
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def _read(path: Path) -> _File | None:
    try:
        return _File(path, path.read_text(), path.stat().st_mode)
    except (UnicodeDecodeError, OSError):
        return None


def _disabled(file: _File) -> frozenset[str]:
    return frozenset(word for line in file.lines if line.startswith(_DISABLE)
                     for word in line.removeprefix(_DISABLE).split())


def _about_element(element: Path) -> Iterator[Finding]:
    if not (element / "README.rst").is_file():
        yield Finding(path=element, rule="readme", message="there is no README.rst")
    for path in sorted(element.rglob("*.md")):
        yield Finding(path=path, rule="mddocs", message="documentation belongs into README.rst")
    told = set(re.findall(r"\bDIB_\w+", page_of(element)))
    for name in sorted(named_in(element).defaults - told - GENERAL):
        yield Finding(path=element / "README.rst", rule="variables",
                      message=f"{name} is missing among the variables: what it means, and its default")


def _interpreter(file: _File) -> Iterator[Finding]:
    if not file.is_checked or not file.first.startswith("#!"):
        return
    if not file.mode & 0o111:
        yield Finding(path=file.path, rule="executable", message="begins with #! but is not executable")
    if file.is_bash and file.first != "#!/bin/bash":
        yield Finding(path=file.path, line=1, rule="shebang", message="the first line should be #!/bin/bash")
    if not file.is_python:
        for number, line in enumerate(file.lines, 1):
            if re.match(r"( {4})* {1,3}[^ ]", line):
                yield Finding(path=file.path, line=number, rule="indent", message="is not indented by four blanks")


def _settings(file: _File) -> Iterator[Finding]:
    if not file.is_checked or not file.first.startswith("#!/bin/bash"):
        return
    settings = [line for line in file.lines if line.startswith("set -")]
    wanted = {"sete": ("set -e", r"set -[a-z]*e"), "setu": ("set -u", r"set -[a-z]*u"),
              "setpipefail": ("set -o pipefail", r"set -.*o pipefail")}
    for rule, (name, pattern) in wanted.items():
        if not any(re.match(pattern, line) for line in settings):
            yield Finding(path=file.path, rule=rule, message=f"does not say {name}")
    if "DIB_DEBUG_TRACE" not in file.text:
        yield Finding(path=file.path, rule="dibdebugtrace", message="does not look at DIB_DEBUG_TRACE")


def _environment(file: _File) -> Iterator[Finding]:
    if not file.is_checked or "environment.d" not in file.path.parts:
        return
    for number, line in enumerate(file.lines, 1):
        if "set -x" in line:
            yield Finding(path=file.path, line=number, rule="environment", message="switches tracing on for everybody")
    if file.mode & 0o111:
        yield Finding(path=file.path, rule="environment", message="is executable, but it is sourced")


def _lines(file: _File) -> Iterator[Finding]:
    if not file.is_checked:
        return
    on_host = file.path.parent.name in HOST_PHASES
    places = _places(file)
    for number, line in _logical(file.lines):
        text = line.strip()
        if re.search(r"export .*\$\(", line):
            yield Finding(path=file.path, line=number, rule="export", message="export hides the failure of $(...)")
        if on_host and re.search(r"\bsudo ", text) and not (IN_THE_BUILD.search(text) or places & _used(text)):
            yield Finding(path=file.path, line=number, rule="safe_sudo", message="sudo without a path of the build")
        if not file.is_python and _WHICH.search(text) and not re.search(r"dib-lint: which|^#", text):
            yield Finding(path=file.path, line=number, rule="which", message="which is not everywhere; use command -v")


def _logical(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them behind a backslash, and the number of the first."""
    begun, text = 0, ""
    for number, line in enumerate(lines, 1):
        begun, text = begun or number, text + line
        if text.endswith("\\"):
            text = text[:-1]
            continue
        yield begun, text
        begun, text = 0, ""


def _places(file: _File) -> frozenset[str]:
    """Names of variables that hold a path of the build: they were made from one."""
    names: set[str] = set()
    for _ in range(3):  # a path made from a path made from a path
        for line in file.lines:
            found = _ASSIGNED.match(line)
            if found and (IN_THE_BUILD.search(found[2]) or names & _used(found[2])):
                names.add(found[1])
    return frozenset(names)


def _used(text: str) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", text))


def _ends(file: _File) -> Iterator[Finding]:
    is_source = file.path.name.startswith("source-repository-")
    if file.path.suffix == ".rst" or file.mode & 0o111:
        for number, line in enumerate(file.lines, 1):
            if re.match(r" *\t", line):
                yield Finding(path=file.path, line=number, rule="tabindent", message="is indented by a tab")
    elif not is_source:
        return
    if file.text and not file.text.endswith("\n"):
        yield Finding(path=file.path, line=len(file.lines), rule="newline", message="there is no line end at the end")


def _dependencies(file: _File) -> Iterator[Finding]:
    if file.path.name == "element-deps":
        names = [line for line in file.lines if line and not line.startswith("#")]
        if names != sorted(names):
            yield Finding(path=file.path, rule="sorted", message=f"the order should be: {' '.join(sorted(names))}")


def _formats(file: _File) -> Iterator[Finding]:
    try:
        if file.path.suffix == ".yaml":
            yaml.safe_load(file.text)
        elif file.path.name == "pkg-map" and not file.mode & 0o111:
            json.loads(file.text)
        elif file.is_python:
            compile(file.text, str(file.path), "exec")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        yield Finding(path=file.path, line=mark.line + 1 if mark else 0, rule="yaml", message="is no YAML")
    except json.JSONDecodeError as error:
        yield Finding(path=file.path, line=error.lineno, rule="pkgmap", message=f"is no JSON: {error.msg}")
    except (SyntaxError, ValueError) as error:
        yield Finding(path=file.path, line=getattr(error, "lineno", 0) or 0, rule="python", message="is no Python")


_CHECKS: tuple[Callable[[_File], Iterator[Finding]], ...] = (
    _interpreter, _settings, _environment, _lines, _ends, _dependencies, _formats)
