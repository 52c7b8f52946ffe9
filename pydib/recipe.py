"""The recipe: everything that a user asked for in one build, checked. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydib import masking, paths, sizes
from pydib.errors import BlockDeviceConfigError, RecipeError

RANDOM_SEED = "random"
"""The seed with which no identifier is derived from anything."""
QCOW2_COMPRESSIONS = ("zlib", "zstd")
CHECKSUMS = ("md5", "sha256")
ASSEMBLE = ("auto", "tree", "device")
"""How the disk is made: from the finished tree, or by copying it onto a block device; auto decides."""
PARTITION_MAPPERS = ("partx", "kpartx", "loop")
"""Ways to get devices for partitions: the kernel's own, device-mapper's, loop devices with an offset."""
DEFAULT_LAYERS_SIZE = "20GiB"
"""What layers may take on disk."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image to build. Field names follow the long options of disk-image-create; see contract section 1.

    `seed` is what UUIDs are derived from, besides elements and disk; `random`: they are new in every build.
    `source_date` is the moment for which the image is made, in seconds since 1970 (None: see build/moment.py).
    `environment` is the caller's, whole. `types` are output formats, `-t`'s. Paths that a user gave stay as given:
    scripts see them relative to the caller's directory `cwd` (C-110).
    """

    elements: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    cwd: Path
    arch: str
    image_name: str = "image"
    types: tuple[str, ...] = ("qcow2",)
    compress: bool = True
    compression: str = "zlib"
    skip_base: bool = False
    packages: tuple[str, ...] = ()
    checksums: tuple[str, ...] = ()
    image_size_gib: float | None = None
    image_extra_size_mib: float | None = None
    image_cache: Path
    min_tmpfs_gib: int = 2
    tmpfs: bool = True
    offline: bool = False
    max_online_resize: str = ""
    mkfs_options: str = ""
    journal_size_mib: int | None = None
    qemu_img_options: str = ""
    ramdisk: bool = False
    ramdisk_element: str = "ramdisk"
    root_label: str = ""
    fs_type: str = "ext4"
    install_type: str = ""
    docker_target: str = ""
    logfile: str = ""
    quiet: bool = False
    trace: int = 0
    overwrite_old_image: bool = False
    block_device_config: str = ""
    block_size_bytes: int | None = None
    assemble: str = "auto"
    partition_mapper: str = ""
    secrets: tuple[str, ...] = ()
    most_processes: int = 4096
    elements_path: tuple[Path, ...] = ()
    phases_path: Path | None = None
    arguments: tuple[str, ...] = ()
    events_file: str = ""
    layers: bool = True
    layers_bytes: int = 20 * sizes.GIB
    max_age_seconds: float | None = None
    rebuild_from: str = ""
    cache_from: tuple[Path, ...] = ()
    cache_to: Path | None = None
    shell_before: str = ""
    shell_after: str = ""
    source_date: int | None = None
    seed: str = ""

    @property
    def hidden(self) -> tuple[str, ...]:
        """The values of the variables that `secrets` names: they reach scripts, but nothing that is written."""
        return masking.values_of(self.secrets, self.environment)

    @property
    def output_stem(self) -> Path:
        """The outputs' path without their ending (C-015), absolute."""
        name = self.image_name
        if len(self.types) == 1 and name.endswith("." + self.types[0]):
            name = name[: -len(self.types[0]) - 1]
        return self.cwd / name

    @property
    def output_name(self) -> str:
        """IMAGE_NAME as scripts see it: as given, less one ending (C-015)."""
        suffix = "." + self.types[0]
        if len(self.types) == 1 and self.image_name.endswith(suffix):
            return self.image_name[: -len(suffix)]
        return self.image_name

    def output(self, kind: str) -> Path:
        """The final path of the output of that type."""
        return self.output_stem.with_name(f"{self.output_stem.name}.{kind}")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a user wants to see.

    Args:
        style: `lines` for the log as DIB prints it, `progress` for a live display, `quiet` for nothing.
        timestamps: whether lines on stdout begin with the time (C-180).
        logfile: also append the log there, always with the time (C-181); empty for none.
        events_file: also write every event there as a line of JSON; empty for none.
        timeline_file: write a page with the build's timeline there, and a trace beside it; empty for none.
        hidden: texts that none of these shows.
    """

    style: str = "lines"
    timestamps: bool = True
    logfile: str = ""
    events_file: str = ""
    timeline_file: str = ""
    hidden: tuple[str, ...] = field(default=(), repr=False)


def host_arch(*, machine: str) -> str:
    """DIB's name of the architecture that `uname -m` calls `machine` (C-013)."""
    if machine.startswith("armv"):
        return "armhf"
    return _ARCHITECTURES.get(machine, machine)


def words(text: str) -> tuple[str, ...]:
    """`text` split at white space, as a shell does with an unquoted variable."""
    return tuple(text.split())


def types(text: str) -> tuple[str, ...]:
    """The output types of `-t` (C-016, C-017): any name that could be a file's ending."""
    chosen = tuple(dict.fromkeys(name for name in text.split(",") if name))
    for name in chosen:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name.startswith("-"):
            raise RecipeError(f"{name!r} is not an image type", where="-t " + text,
                              hint="use a comma-separated list such as qcow2,raw")
    if not chosen:
        raise RecipeError("-t names no image type", hint="use a comma-separated list such as qcow2,raw")
    return chosen


def checksums(text: str) -> tuple[str, ...]:
    """The kinds of checksum that a DIB_CHECKSUM value asks for (C-021)."""
    if text in ("", "0"):
        return ()
    if text == "1":
        return CHECKSUMS
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in chosen:
        if name not in CHECKSUMS:
            raise RecipeError(f"unknown checksum {name!r}", where=f"DIB_CHECKSUM={text}",
                              hint="use 1, md5, sha256 or md5,sha256")
    return chosen


def assemble(text: str, *, name: str) -> str:
    """The mode of assembly that a user gave as `name`; empty is auto."""
    if (text or "auto") not in ASSEMBLE:
        raise RecipeError(f"there is no mode of assembly {text!r}", where=name, hint=f"use {', '.join(ASSEMBLE)}")
    return text or "auto"


def partition_mapper(text: str) -> str:
    """The one way of mapping partitions that DIB_PARTITION_MAPPER asks for; empty leaves the choice to pydib."""
    if text and text not in PARTITION_MAPPERS:
        raise RecipeError(f"there is no way {text!r} to map partitions", where=f"DIB_PARTITION_MAPPER={text}",
                          hint=f"use one of {', '.join(PARTITION_MAPPERS)}, or leave it empty")
    return text


def number(text: str, *, name: str, unit: str, example: str = "5") -> float:
    """A number that a user gave for `name`, in `unit`; decimals are allowed (C-022)."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1 << 40:
        raise RecipeError(f"{name} must be a number of {unit}, not {text!r}", hint=_example(name, example))
    return value


def whole_number(text: str, *, name: str, unit: str, example: str = "5") -> int:
    """A whole number that a user gave for `name`, in `unit`."""
    value = number(text, name=name, unit=unit, example=example)
    if value != int(value):
        raise RecipeError(f"{name} must be a whole number of {unit}, not {text!r}")
    return int(value)


_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def age(text: str, *, name: str) -> float:
    """An age in seconds, as a user writes it: a number with one of s, m, h, d, w behind it.

    >>> age("12h", name="--max-age")
    43200.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text.strip())
    if not found:
        raise RecipeError(f"{name} must be a number with s, m, h, d or w behind it, not {text!r}",
                          hint=_example(name, "12h"))
    return float(found[1]) * _SECONDS[found[2]]


def source_date(text: str) -> int | None:
    """The moment that SOURCE_DATE_EPOCH names, in seconds since 1970; None when it is empty."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise RecipeError(f"SOURCE_DATE_EPOCH must be a number of seconds since 1970, not {text!r}",
                          hint="for example the date of the last commit: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
    return int(text)


def layers_bytes(text: str, *, name: str) -> int:
    """What layers may take on disk in bytes, as a user gave it for `name`; empty is the default."""
    try:
        return sizes.parse_size(text or DEFAULT_LAYERS_SIZE)
    except BlockDeviceConfigError as problem:
        raise RecipeError(f"{name}: {problem.what}", hint=_example(name, DEFAULT_LAYERS_SIZE)) from None


def _example(name: str, value: str) -> str:
    """How an option, or a variable, is written."""
    return f"for example {name}{' ' if name.startswith('-') else '='}{value}"


def truth(text: str) -> bool:
    """A switch as bash arithmetic reads it: empty and 0 are off (C-026)."""
    return text.strip() not in ("", "0")


def integer(text: str, *, name: str) -> int:
    """A small whole number from the environment; empty is 0."""
    try:
        return int(text or 0)
    except ValueError:
        raise RecipeError(f"{name} must be a whole number, not {text!r}") from None


def from_environment(environment: Mapping[str, str], **given: object) -> Recipe:
    """A recipe from the caller's environment, and from what its options gave (they win).

    `given` are fields of Recipe; those that are None count as not given.

    Raises:
        RecipeError: no element at all (C-010), or a value that cannot be.
    """
    fields = _environment_fields(environment)
    fields.update({name: value for name, value in given.items() if value is not None})
    elements = fields.get("elements") or ()
    if not isinstance(elements, Sequence) or not elements:
        raise RecipeError("no elements were named; at least one distribution root element is needed",
                          hint="name one, for example: disk-image-create debian-minimal vm")
    recipe = Recipe(**fields)  # type: ignore[arg-type]
    masking.values_of(recipe.secrets, environment)  # raises what is wrong with them
    return recipe


def _environment_fields(env: Mapping[str, str]) -> dict[str, object]:
    fields: dict[str, object] = {
        "environment": dict(env),
        "cwd": Path.cwd(),
        "arch": env.get("ARCH") or host_arch(machine=os.uname().machine),
        "image_cache": paths.image_cache(env),
        "elements_path": _elements_path(env),
        "skip_base": truth(env.get("SKIP_BASE", "")),
        "tmpfs": not truth(env.get("DIB_NO_TMPFS", "")),
        "offline": truth(env.get("DIB_OFFLINE", "")),
        "overwrite_old_image": truth(env.get("OVERWRITE_OLD_IMAGE", "")),
        "checksums": checksums(env.get("DIB_CHECKSUM", "")),
        "trace": integer(env.get("DIB_DEBUG_TRACE", ""), name="DIB_DEBUG_TRACE"),
        "quiet": env.get("DIB_QUIET") == "1",
        "install_type": env.get("DIB_DEFAULT_INSTALLTYPE", ""),
        "max_online_resize": env.get("MAX_ONLINE_RESIZE", ""),
        "mkfs_options": env.get("MKFS_OPTS", ""),
        "qemu_img_options": env.get("QEMU_IMG_OPTIONS", ""),
        "root_label": env.get("ROOT_LABEL", ""),
        "fs_type": env.get("FS_TYPE") or "ext4",
        "block_device_config": env.get("DIB_BLOCK_DEVICE_CONFIG", ""),
        "secrets": words(env.get("DIB_SECRETS", "").replace(",", " ")),
        "assemble": assemble(env.get("DIB_ASSEMBLE", ""), name="DIB_ASSEMBLE"),
        "partition_mapper": partition_mapper(env.get("DIB_PARTITION_MAPPER", "")),
        "docker_target": env.get("DOCKER_TARGET", ""),
        "ramdisk_element": env.get("RAMDISK_ELEMENT") or "ramdisk",
        "image_name": env.get("IMAGE_NAME") or "image",
        "source_date": source_date(env.get("SOURCE_DATE_EPOCH", "")),
        "seed": env.get("PYDIB_SEED", ""),
        "layers": not truth(env.get("PYDIB_NO_CACHE", "")),
        "layers_bytes": layers_bytes(env.get("PYDIB_CACHE_SIZE", ""), name="PYDIB_CACHE_SIZE"),
    }
    fields.update(_exchanges(env))
    if env.get("DIB_IMAGE_SIZE"):
        fields["image_size_gib"] = number(env["DIB_IMAGE_SIZE"], name="DIB_IMAGE_SIZE", unit="GiB")
    if env.get("DIB_IMAGE_EXTRA_SIZE"):
        fields["image_extra_size_mib"] = number(env["DIB_IMAGE_EXTRA_SIZE"], name="DIB_IMAGE_EXTRA_SIZE", unit="MiB")
    if env.get("DIB_JOURNAL_SIZE"):
        fields["journal_size_mib"] = whole_number(env["DIB_JOURNAL_SIZE"], name="DIB_JOURNAL_SIZE", unit="MiB")
    if env.get("DIB_BLOCK_SIZE"):
        fields["block_size_bytes"] = whole_number(env["DIB_BLOCK_SIZE"], name="DIB_BLOCK_SIZE", unit="bytes")
    if env.get("DIB_MAX_PROCESSES"):
        fields["most_processes"] = whole_number(env["DIB_MAX_PROCESSES"], name="DIB_MAX_PROCESSES", unit="processes",
                                                example="4096")
    if env.get("DIB_MIN_TMPFS"):
        fields["min_tmpfs_gib"] = integer(env["DIB_MIN_TMPFS"], name="DIB_MIN_TMPFS")
    return fields


def _exchanges(env: Mapping[str, str]) -> dict[str, object]:
    """Directories that layers are exchanged with: for callers that have no options for it."""
    found: dict[str, object] = {}
    if env.get("PYDIB_CACHE_FROM"):
        found["cache_from"] = tuple(Path(name).absolute() for name in env["PYDIB_CACHE_FROM"].split(os.pathsep) if name)
    if env.get("PYDIB_CACHE_TO"):
        found["cache_to"] = Path(env["PYDIB_CACHE_TO"]).absolute()
    return found


def _elements_path(env: Mapping[str, str]) -> tuple[Path, ...]:
    """The caller's ELEMENTS_PATH with our own elements at its end (C-028)."""
    given = tuple(Path(entry).absolute() for entry in env.get("ELEMENTS_PATH", "").split(os.pathsep) if entry)
    own = paths.elements_dir()
    return given if own in given else (*given, own)
