"""`disk-image-create`: the same options, words and exit codes as DIB's (contract C-001 to C-030)."""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydib import __version__, recipe
from pydib.cli.errors import report_errors
from pydib.errors import RecipeError
from pydib.recipe import Recipe, Wishes

SHORT = "a:o:t:xucnp:h"
LONG = (
    "checksum", "no-tmpfs", "offline", "help", "version", "min-tmpfs=", "image-size=", "image-extra-size=",
    "image-cache=", "max-online-resize=", "mkfs-options=", "mkfs-journal-size=", "qemu-img-options=",
    "ramdisk-element=", "root-label=", "install-type=", "docker-target=", "logfile=",
)
USAGE = """\
Usage: {name} [OPTION]... [ELEMENT]...

Builds a disk image from elements; each element is a folder on ELEMENTS_PATH.
At least one must be an operating system, for example debian-minimal.

Options:
  -a ARCH                   architecture of the image: amd64 (default), arm64, armhf
  -o NAME                   name of the output without its ending (default: image)
  -t qcow2,raw,...          output formats, comma-separated (default: qcow2); also tar, tgz,
                            squashfs, and every format that qemu-img knows
  -x                        trace scripts; twice for more
  -u                        do not compress the qcow2 image
  -c                        clear the environment before the build
  -n                        leave out the element `base`
  -p package[,package]      install packages, after the elements' own
  -h, --help                show this and end
  --version                 show the version and end
  --checksum                write md5 and sha256 files beside the outputs
  --image-size GIB          size of the disk; decimals are fine (default: from the tree)
  --image-extra-size MIB    room beyond the tree, instead of the default two thirds
  --image-cache DIR         where downloads are kept (default: ~/.cache/image-create)
  --max-online-resize SIZE  the most that the filesystem can later grow to (mkfs -E resize=)
  --mkfs-options OPTIONS    options for the root filesystem's mkfs
  --mkfs-journal-size MIB   size of an ext4 root's journal (default: 64)
  --min-tmpfs GIB           build on disk when memory is less than twice this (default: 2)
  --no-tmpfs                build on disk
  --offline                 use only what is in the cache
  --qemu-img-options OPTS   options for qemu-img convert, for example compat=1.1
  --root-label LABEL        label of the root filesystem (default: cloudimg-rootfs, on xfs img-rootfs)
  --ramdisk-element NAME    the element that makes a ramdisk (default: ramdisk)
  --install-type TYPE       default install type: source (default) or package
  --docker-target NAME      name for -t docker
  --logfile FILE            append the log to FILE, and print nothing

Environment: ELEMENTS_PATH, DIB_RELEASE, DIB_DISTRIBUTION_MIRROR and the variables of the elements;
`pydib elements NAME` shows an element's.
"""


def disk_image_create() -> None:
    """The `disk-image-create` program."""
    sys.exit(main(sys.argv[1:], name="disk-image-create"))


def main(arguments: Sequence[str], *, name: str) -> int:
    """Parse, and build; gives the exit code. Usage errors are 1 here, as with DIB (C-008)."""
    return report_errors(lambda: _run(arguments, name), program=name, usage_code=1)


def _run(arguments: Sequence[str], name: str) -> int:
    given, elements = parse(arguments)
    if given.pop("help", False):
        sys.stdout.write(USAGE.format(name=name))
        return 0
    if given.pop("version", False):
        sys.stdout.write(f"{__version__}\n")
        return 0
    environment = _cleared(os.environ) if given.pop("clear", False) else os.environ
    wanted = make_recipe(given, elements, environment, arguments=arguments)

    from pydib.build import run_build  # late: --help and mistakes should answer at once

    if wanted.logfile:
        sys.stdout.write(f"Output logs going to: {wanted.logfile}\n")
        sys.stdout.flush()
    return run_build(wanted, Wishes(
        style="quiet" if wanted.quiet else "lines", logfile=wanted.logfile,
        timestamps=not recipe.truth(environment.get("DIB_NO_TIMESTAMP", ""))))


def parse(arguments: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Options as fields of a recipe, and the elements. GNU getopt's rules: options may follow elements, long ones may
    be cut short (C-004); elements are joined and split again at blanks (C-011).

    Raises:
        RecipeError: an unknown option, or a value missing or wrong.
    """
    try:
        pairs, rest = getopt.gnu_getopt(list(arguments), SHORT, LONG)
    except getopt.GetoptError as error:
        raise RecipeError(error.msg, hint="--help lists the options") from None
    given: dict[str, Any] = {}
    for option, value in pairs:
        _OPTIONS[option](given, value)
    return given, recipe.words(" ".join(rest))


def _store(field: str, convert: Callable[[str], Any] = str) -> Callable[[dict[str, Any], str], None]:
    def take(given: dict[str, Any], value: str) -> None:
        given[field] = convert(value)
    return take


def _switch(field: str, state: bool = True) -> Callable[[dict[str, Any], str], None]:
    def take(given: dict[str, Any], value: str) -> None:
        given[field] = state
    return take


def _number(field: str, option: str, unit: str, *, whole: bool = False) -> Callable[[dict[str, Any], str], None]:
    read = recipe.whole_number if whole else recipe.number

    def take(given: dict[str, Any], value: str) -> None:
        given[field] = read(value, name=option, unit=unit)
    return take


def _trace(given: dict[str, Any], value: str) -> None:
    given["trace"] = given.get("trace", 0) + 1


def _packages(given: dict[str, Any], value: str) -> None:
    given["packages"] = (*given.get("packages", ()), *recipe.words(value.replace(",", " ")))


_OPTIONS: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "-a": _store("arch"),
    "-o": _store("image_name"),
    "-t": _store("types", recipe.types),
    "-x": _trace,
    "-u": _switch("compress", False),
    "-c": _switch("clear"),
    "-n": _switch("skip_base"),
    "-p": _packages,
    "-h": _switch("help"),
    "--help": _switch("help"),
    "--version": _switch("version"),
    "--checksum": _store("checksums", lambda _: recipe.CHECKSUMS),
    "--no-tmpfs": _switch("tmpfs", False),
    "--offline": _switch("offline"),
    "--min-tmpfs": _number("min_tmpfs_gib", "--min-tmpfs", "GiB", whole=True),
    "--image-size": _number("image_size_gib", "--image-size", "GiB"),
    "--image-extra-size": _number("image_extra_size_mib", "--image-extra-size", "MiB"),
    "--image-cache": _store("image_cache"),
    "--max-online-resize": _store("max_online_resize"),
    "--mkfs-options": _store("mkfs_options"),
    "--mkfs-journal-size": _number("journal_size_mib", "--mkfs-journal-size", "MiB", whole=True),
    "--qemu-img-options": _store("qemu_img_options"),
    "--ramdisk-element": _store("ramdisk_element"),
    "--root-label": _store("root_label"),
    "--install-type": _store("install_type"),
    "--docker-target": _store("docker_target"),
    "--logfile": _store("logfile"),
}


def make_recipe(given: Mapping[str, Any], elements: Sequence[str], environment: Mapping[str, str], *,
                arguments: Sequence[str], **more: Any) -> Recipe:
    """The recipe of one command line.

    Raises:
        RecipeError: no element, or a value that cannot be.
    """
    from pathlib import Path

    fields = {**given, **more}
    if "image_cache" in fields:
        fields["image_cache"] = Path(fields["image_cache"]).absolute()
    if "trace" in fields:
        fields["trace"] += recipe.integer(environment.get("DIB_DEBUG_TRACE", ""), name="DIB_DEBUG_TRACE")
    if fields.get("logfile") and environment.get("DIB_QUIET") != "0":
        fields.setdefault("quiet", True)
    wanted = (*recipe.words(environment.get("IMAGE_ELEMENT", "")), *elements)
    return recipe.from_environment(environment, elements=wanted, arguments=tuple(arguments), **fields)


def _cleared(environment: Mapping[str, str]) -> dict[str, str]:
    """What `-c` leaves of the environment (C-007): enough to run programs, and to reach the network."""
    kept = ("HOME", "USER", "LOGNAME", "PATH", "TERM", "TMPDIR", "http_proxy", "https_proxy", "no_proxy",
            "ELEMENTS_PATH")
    return {name: environment[name] for name in kept if name in environment}


