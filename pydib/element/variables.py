"""The variables of an element: what its README.rst says of them, and which ones its files name. Pure.

The machine-readable place is the section of README.rst whose title ends in "Variables", with a definition list::

    DIB_DEV_USER_USERNAME
        Name of the user. Default: ``devuser``.
    DIB_DEV_USER_GROUPS, DIB_DEV_USER_SHELL
        ...

The sentence `Default: ....` is the default; `Required.` says that the user must set it. DIB's own form, a list of
fields (`:Default:`, `:Required:`, `:Description:`) below the name, is read as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydib.element.hooks import NOT_MERGED

_NAME = r"(?:``)?(?:[A-Za-z]+(?:_\w+)+|[A-Z]{3,})(?:``)?"
_TERM = re.compile(rf"{_NAME}(?:, {_NAME})*,?")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}$")
_DEFAULT = re.compile(r"Default: (.+?)\.(?=\s|$)")
_FIELD = re.compile(r"^:(\w+):\s*")
_NAMED = re.compile(r"\bDIB_\w*[A-Za-z0-9]\b")
_BEGUN = re.compile(r"\bDIB_\w+_(?=[$\"'{%*@])")
_GIVEN_A_DEFAULT = re.compile(r"\$\{(DIB_\w+):?[-=]")
_NOT_READ = (".rst", ".md", ".pyc")
_MOST_BYTES = 1 << 20

_GENERAL = """
DIB_ARGS DIB_ASSEMBLE DIB_BAREMETAL_INITRD_PATTERN DIB_BAREMETAL_KERNEL_PATTERN DIB_BLOCK_DEVICE
DIB_BLOCK_DEVICE_CONFIG DIB_BLOCK_DEVICE_PARAMS_YAML DIB_BLOCK_SIZE DIB_BOOT_LABEL DIB_CHECKSUM DIB_DEBUG_TRACE
DIB_DEFAULT_INSTALLTYPE DIB_DISTRIBUTION_MIRROR DIB_ENV DIB_GZIP_BIN DIB_IMAGE_CACHE DIB_IMAGE_EXTRA_SIZE
DIB_IMAGE_SIZE DIB_INIT_SYSTEM DIB_JOURNAL_SIZE DIB_KERNEL_VERSION DIB_LIB_UDEV_ROOT DIB_LOCKFILES
DIB_MANIFEST_SAVE_DIR DIB_MAX_PROCESSES DIB_MIN_TMPFS DIB_MODULE_ROOT DIB_MOUNTPOINTS DIB_NO_TIMESTAMP DIB_NO_TMPFS
DIB_OFFLINE DIB_PARTITION_MAPPER DIB_PYTHON_EXEC DIB_PYTHON_LOGGING_CONFIG_FILE DIB_QUIET DIB_RELEASE DIB_ROOT_FSTYPE
DIB_ROOT_LABEL DIB_RUN_PARTS DIB_SECRETS DIB_SHOW_IMAGE_USAGE DIB_SHOW_IMAGE_USAGE_FULL DIB_SIGNED_KERNEL_VERSION
"""
GENERAL = frozenset(_GENERAL.split())
"""Variables that DIB's engine or ours reads or sets, or that mean the same to every operating system."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One variable of an element. `default` is as its page says it; empty when it is not set, or `required`."""

    name: str
    meaning: str
    default: str = ""
    required: bool = False


def page_of(element: Path) -> str:
    """The text of an element's README; empty when there is none."""
    for name in ("README.rst", "README.md"):
        try:
            return (element / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return ""


def documented(page: str) -> tuple[Variable, ...]:
    """The variables that an element's page tells of, in its order."""
    found: dict[str, Variable] = {}
    for names, body in _entries(_section(page.splitlines())):
        for name in names:
            found.setdefault(name, _variable(name, body))
    return tuple(found.values())


def _section(lines: list[str]) -> list[str]:
    """The lines below the title that ends in "Variables", up to the next title of its kind."""
    kind, begin = "", 0
    for number in range(1, len(lines)):
        if not (_UNDERLINE.match(lines[number]) and lines[number - 1].strip()):
            continue
        if kind and lines[number][0] == kind:
            return lines[begin:number - 1]
        if not kind and lines[number - 1].strip().lower().endswith("variables"):
            kind, begin = lines[number][0], number + 1
    return lines[begin:] if kind else []


def _entries(lines: Iterable[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Names, and the lines below them."""
    names: list[str] = []
    body: list[str] = []
    for line in [*lines, "."]:
        if not line.strip() or line[0].isspace():
            body.append(line.strip())
            continue
        if names and any(body):
            yield names, body
        names = re.findall(r"\w+", line) if _TERM.fullmatch(line.rstrip()) else []
        body = []


def _variable(name: str, body: list[str]) -> Variable:
    fields = _fields(body)
    if not fields:
        text = " ".join(filter(None, body))
        default = _DEFAULT.search(text)
        meaning = re.sub(r"\s*\bRequired\.", "", _DEFAULT.sub("", text)).strip()
        return Variable(name=name, meaning=re.sub(r"\s+", " ", meaning), default=_plain(default[1] if default else ""),
                        required="Required." in text)
    default_text = fields.get("default", "")
    return Variable(name=name, meaning=fields.get("description", ""),
                    default="" if default_text.lower() in ("none", "unset") else _plain(default_text),
                    required=fields.get("required", "").lower().startswith("y"))


def _fields(body: list[str]) -> dict[str, str]:
    """The fields of DIB's form, by name in small letters."""
    fields: dict[str, str] = {}
    key = ""
    for line in body:
        begun = _FIELD.match(line)
        if begun:
            key, line = begun[1].lower(), line[begun.end():]
        if key:
            fields[key] = f"{fields.get(key, '')} {line}".strip()
    return fields


def _plain(default: str) -> str:
    """Without the marks of a literal, when it is nothing but one."""
    literal = re.fullmatch(r"``(.+?)``", default.strip())
    return literal[1] if literal and "``" not in literal[1] else default.strip()


@dataclass(frozen=True, kw_only=True)
class Named:
    """The DIB_ variables that an element's files name: whole names, and beginnings of names that scripts put together
    (`DIB_REPOREF_$name`). `defaults` are those that a script gives one, as in `${DIB_X:-1}`."""

    names: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()
    defaults: frozenset[str] = frozenset()

    def __contains__(self, name: object) -> bool:
        return name in self.names or (isinstance(name, str) and name.startswith(self.beginnings))


def named_in(element: Path) -> Named:
    """What the files of an element name, its tests and pages left out. Files that cannot be read count as empty."""
    text = "\n".join(map(_text, _files(element)))
    return Named(names=frozenset(_NAMED.findall(text)), beginnings=tuple(sorted(set(_BEGUN.findall(text)))),
                 defaults=frozenset(_GIVEN_A_DEFAULT.findall(text)))


def _files(element: Path) -> Iterator[Path]:
    for folder, directories, names in os.walk(element):
        directories[:] = [name for name in directories if name not in NOT_MERGED and name != ".git"]
        yield from (Path(folder, name) for name in names if not name.endswith(_NOT_READ))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _MOST_BYTES or not file.is_file():
            return ""
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
