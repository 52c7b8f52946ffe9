"""Build files: YAML lists of images, and the command lines that they stand for (contract C-031 to C-040). Pure."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pydib.errors import RecipeError

DISK_PROGRAM, RAMDISK_PROGRAM = "disk-image-create", "ramdisk-image-create"
FIRST_NAME = "image"
"""The image that entries without `imagename` belong to, as long as no entry has named one (C-034)."""

ARCHITECTURES = ("aarch64", "amd64", "arm64", "armhf", "powerpc", "ppc64", "ppc64el", "ppc64le", "s390x", "x86_64")
TYPES = ("qcow2", "tar", "tgz", "squashfs", "vhd", "docker", "aci", "raw")
INSTALL_TYPES = ("source", "package")
TRACE_LEVELS = (0, 1, 2)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Settings = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One item of a build file: its settings, checked, and `where` it stands, for messages."""

    settings: Mapping[str, Any]
    where: str


@dataclass(frozen=True, kw_only=True)
class ImageBuild:
    """One image: the program and the arguments that build it, and variables for this image only (C-040)."""

    name: str
    program: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    def shell_line(self) -> str:
        """The build as a line that a shell understands (C-037)."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*variables, self.program, *map(shlex.quote, self.arguments)])


def builds(files: Iterable[tuple[str, bytes]]) -> tuple[ImageBuild, ...]:
    """The images that build files describe, in order.

    Args:
        files: name and content of each; their lists are read as one (C-031).

    Raises:
        RecipeError: a file is not YAML, or not a list of images, or says something that cannot be.
    """
    entries = [entry for name, content in files for entry in read_entries(content, file=name)]
    return tuple(_image_build(name, settings) for name, settings in merged(entries).items())


# --- reading ----------------------------------------------------------------------------------------------------


def read_entries(content: bytes, *, file: str) -> list[Entry]:
    """The checked entries of one build file.

    Raises:
        RecipeError: see `builds`; `where` names the file, the line and the entry.
    """
    try:
        document = yaml.safe_load(content)
        lines = _Lines(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_yaml(error, file) from None
    if not isinstance(document, list):
        found = "nothing" if document is None else f"a {_kind(document)}"
        raise RecipeError(f"a build file must be a list of images, not {found}", where=file,
                          hint="begin each image with a dash: `- imagename: NAME`")
    return [_entry(item, number, file, lines) for number, item in enumerate(document, 1)]


def _not_yaml(error: Exception, file: str) -> RecipeError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is nested too deeply"
    where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
    return RecipeError(f"the build file is not valid YAML: {problem}", where=where, hint="correct the file")


class _Lines:
    """Line numbers of entries and of their settings. Settings that come in through aliases count at their entry."""

    def __init__(self, content: bytes) -> None:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
        items = root.value if isinstance(root, yaml.SequenceNode) else []
        self._entries: list[int] = [item.start_mark.line + 1 for item in items]
        self._settings: list[dict[str, int]] = [
            {key.value: key.start_mark.line + 1 for key, _ in item.value if isinstance(key.value, str)}
            if isinstance(item, yaml.MappingNode) else {} for item in items]

    def of(self, number: int, key: object = None) -> int:
        """The line of entry `number` (from 1), or of its setting `key`."""
        return self._settings[number - 1].get(str(key), self._entries[number - 1])


def _entry(item: object, number: int, file: str, lines: _Lines) -> Entry:
    where = f"{file}, line {lines.of(number)}, entry {number}"
    if not isinstance(item, dict):
        raise RecipeError(f"an image must be a map of settings, not a {_kind(item)}", where=where,
                          hint="write `- imagename: NAME` and further settings indented below it")
    if isinstance(item.get("imagename"), str) and item["imagename"]:
        where += f" ({item['imagename']})"
    for key, value in item.items():
        at = where.replace(f"line {lines.of(number)}", f"line {lines.of(number, key)}")
        if key not in SCHEMA:
            raise _unknown(key, at)
        SCHEMA[key].check(f"`{key}`", value, at)
    return Entry(settings=item, where=where)


def _unknown(key: object, where: str) -> RecipeError:
    close = difflib.get_close_matches(str(key), SCHEMA, n=1)
    hint = f"did you mean {close[0]}?" if close else "known settings: " + " ".join(SCHEMA)
    return RecipeError(f"unknown setting {key!r}", where=where, hint=hint)


def _kind(value: object) -> str:
    """What YAML calls a value of that type."""
    names: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "map",
                              type(None): "null"}
    return names.get(type(value), type(value).__name__)


# --- checks of values -------------------------------------------------------------------------------------------


Check = Callable[[str, Any, str], None]


def _wrong(name: str, value: object, must: str, where: str, hint: str = "") -> RecipeError:
    shown = repr(value)
    return RecipeError(f"{name} must be {must}, not {shown if len(shown) < 60 else shown[:56] + ' ...'}",
                       where=where, hint=hint or "correct the value")


def _text(name: str, value: Any, where: str) -> None:
    if not isinstance(value, str):
        hint = f'write it in quotes: "{value}"' if value is not None and not isinstance(value, list | dict) else ""
        raise _wrong(name, value, "text", where, hint)
    try:
        fits = b"\0" not in value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise _wrong(name, value, "text that a program can be given", where)


def _switch(name: str, value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise _wrong(name, value, "true or false", where, "YAML's yes and no do, without quotes")


def _positive(name: str, value: Any, where: str) -> None:
    """As the schema of DIB: 2 and 2.0 are whole numbers, true is not (C-033)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1 or value != value // 1:
        raise _wrong(name, value, "a whole number from 1 up", where)


def _one_of(choices: Sequence[object]) -> Check:
    def check(name: str, value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in choices:
            raise _wrong(name, value, "one of " + " ".join(map(str, choices)), where)
    return check


def _list_of(check_item: Check) -> Check:
    def check(name: str, value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _wrong(name, value, "a list", where,
                         f"write [{value}]" if isinstance(value, str) else "begin each item with a dash")
        for item in value:
            check_item(f"each item of {name}", item, where)
    return check


def _map_of_text(name: str, value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(name, value, "a map of names and values", where)
    for key, item in value.items():
        _text(f"each name in {name}", key, where)
        _text(f"{key} in {name}", item, where)


def _variables(name: str, value: Any, where: str) -> None:
    _map_of_text(name, value, where)
    for key in value:
        if not _VARIABLE.fullmatch(key):
            raise _wrong(f"each name in {name}", key, "the name of an environment variable", where,
                         "use letters, digits and underscores; no digit first")


# --- the schema, and what each setting becomes ------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """How a setting is checked, and which arguments its value makes; none by default."""

    check: Check
    arguments: Callable[[Any], list[str]] = lambda value: []


def _valued(option: str) -> Callable[[Any], list[str]]:
    return lambda value: [option, str(value)] if value or value == 0 else []


def _flag(option: str) -> Callable[[Any], list[str]]:
    return lambda value: [option] if value else []


def _joined(option: str) -> Callable[[Any], list[str]]:
    """Items joined with commas; of a map, `name=value` each. Nothing of an empty collection."""
    def arguments(value: Any) -> list[str]:
        items = [f"{key}={item}" for key, item in value.items()] if isinstance(value, dict) else value
        return [option, ",".join(items)] if any(items) else []
    return arguments


SCHEMA: Mapping[str, Setting] = {
    "imagename": Setting(_text, _valued("-o")),
    "arch": Setting(_one_of(ARCHITECTURES), _valued("-a")),
    "types": Setting(_list_of(_one_of(TYPES)), _joined("-t")),
    "environment": Setting(_variables),
    "ramdisk": Setting(_switch),
    "debug-trace": Setting(_one_of(TRACE_LEVELS), lambda level: ["-x"] * level),
    "uncompressed": Setting(_switch, _flag("-u")),
    "clear": Setting(_switch, _flag("-c")),
    "logfile": Setting(_text, _valued("--logfile")),
    "checksum": Setting(_switch, _flag("--checksum")),
    "image-size": Setting(_positive, _valued("--image-size")),
    "image-extra-size": Setting(_positive, _valued("--image-extra-size")),
    "image-cache": Setting(_text, _valued("--image-cache")),
    "max-online-resize": Setting(_positive, _valued("--max-online-resize")),
    "min-tmpfs": Setting(_positive, _valued("--min-tmpfs")),
    "mkfs-journal-size": Setting(_positive, _valued("--mkfs-journal-size")),
    "mkfs-options": Setting(_text, _valued("--mkfs-options")),
    "no-tmpfs": Setting(_switch, _flag("--no-tmpfs")),
    "offline": Setting(_switch, _flag("--offline")),
    "qemu-img-options": Setting(_map_of_text, _joined("--qemu-img-options")),
    "root-label": Setting(_text, _valued("--root-label")),
    "ramdisk-element": Setting(_text, _valued("--ramdisk-element")),
    "install-type": Setting(_one_of(INSTALL_TYPES), _valued("--install-type")),
    "docker-target": Setting(_text, _valued("--docker-target")),
    "packages": Setting(_list_of(_text), _joined("-p")),
    "skip-base": Setting(_switch, _flag("-n")),
    "elements": Setting(_list_of(_text), list),
}
"""All settings (C-032), in the order of their arguments (C-036)."""


# --- joining ----------------------------------------------------------------------------------------------------


def merged(entries: Iterable[Entry]) -> dict[str, Settings]:
    """The settings of each image, by its name, in the order of first mention (C-034).

    An entry without `imagename` belongs to the image before it. Lists are appended, maps updated, other values
    replaced. An element that several entries of an image name counts once (C-039: DIB appends it again, and then
    refuses an operating system that is named twice).
    """
    images: dict[str, Settings] = {}
    name = FIRST_NAME
    for entry in entries:
        name = entry.settings.get("imagename", name)
        settings = images.setdefault(name, {})
        for key, value in entry.settings.items():
            settings[key] = _joined_values(settings.get(key), value)
        if "elements" in settings:
            settings["elements"] = list(dict.fromkeys(settings["elements"]))
    return images


def _joined_values(earlier: Any, later: Any) -> Any:
    if isinstance(earlier, list):
        return [*earlier, *later]
    if isinstance(earlier, dict):
        return {**earlier, **later}
    return later


def _image_build(name: str, settings: Settings) -> ImageBuild:
    arguments = [argument for key, setting in SCHEMA.items() if key in settings
                 for argument in setting.arguments(settings[key])]
    program = RAMDISK_PROGRAM if settings.get("ramdisk") else DISK_PROGRAM
    return ImageBuild(name=name, program=program, arguments=tuple(arguments),
                      environment=settings.get("environment", {}))
