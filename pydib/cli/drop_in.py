"""`disk-image-create` and `ramdisk-image-create`: options, words and exit codes of DIB's (contract C-001 to C-030).

What is wrong with the command line itself is told on stderr; everything later goes into the log (C-183), and to
stderr too where the log is not seen.
"""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydib import __version__, events, recipe
from pydib.cli.errors import report_errors
from pydib.errors import PydibError, RecipeError
from pydib.recipe import Recipe, Wishes

DISK, RAMDISK = "disk-image-create", "ramdisk-image-create"
SHORT = "a:o:t:xucnp:h"
DIBS_LONG = (
    "checksum", "no-tmpfs", "offline", "help", "version", "min-tmpfs=", "image-size=", "image-cache=",
    "max-online-resize=", "mkfs-options=", "qemu-img-options=", "ramdisk-element=", "root-label=", "install-type=",
    "docker-target=", "logfile=",
)
LONG = (*DIBS_LONG, "image-extra-size=", "mkfs-journal-size=", "assemble=", "secret=", "no-cache", "rebuild-from=",
        "max-age=")
"""With the two that DIB tells of in its help, and then refuses (C-006), and some of ours."""

USAGE = """\
Usage: {name} [OPTION]... [ELEMENT]...

Builds a {product} from elements; each element is a folder on ELEMENTS_PATH.
At least one must be an operating system, for example debian-minimal.

Options:
  -a ARCH                   architecture of the image: amd64 (default), arm64, armhf
  -o NAME                   name of the output without its ending (default: image)
  -t qcow2,raw,...          output formats, comma-separated (default: qcow2); also tar, tgz,
                            squashfs, vhd, docker, aci, and every format of qemu-img
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
  --assemble MODE           make the disk from the tree (tree) or on a block device (device);
                            auto, the default, takes tree where no script needs a device
  --secret NAME             the value of this variable reaches scripts, but not logs and the image; may be repeated
  --logfile FILE            append the log to FILE, and print nothing
  --no-cache                run every script, and keep no layers (also: PYDIB_NO_CACHE=1)
  --rebuild-from SCRIPT     run SCRIPT (install.d/20-x) and all scripts after it
  --max-age AGE             use no layer older than AGE: 90s, 30m, 12h, 7d

Environment: ELEMENTS_PATH, DIB_RELEASE, DIB_DISTRIBUTION_MIRROR and the variables of the elements;
`pydib elements NAME` shows an element's.
"""


def disk_image_create() -> None:
    """The `disk-image-create` program."""
    sys.exit(main(sys.argv[1:], name=called_name(sys.argv[0], DISK)))


def ramdisk_image_create() -> None:
    """The `ramdisk-image-create` program."""
    sys.exit(main(sys.argv[1:], name=called_name(sys.argv[0], RAMDISK)))


def called_name(program: str, default: str) -> str:
    """Which of the two commands runs: a link's own name decides (C-003)."""
    name = os.path.basename(program)
    return name if name in (DISK, RAMDISK) else default


def main(arguments: Sequence[str], *, name: str, own_environment: Mapping[str, str] | None = None) -> int:
    """Parse, and build; gives the exit code. Usage errors are 1 here, as with DIB (C-008).

    Args:
        arguments: the command line without its first word.
        name: which command it is; `ramdisk-image-create` makes a ramdisk (C-030).
        own_environment: variables for this build, which -c does not clear.
    """
    return report_errors(lambda: _run(arguments, name, own_environment or {}), program=name, usage_code=1)


def _run(arguments: Sequence[str], name: str, own_environment: Mapping[str, str]) -> int:
    pairs, words = split(arguments)
    for option, _ in pairs:  # the first of these wins, whatever the values of other options are (C-009)
        if option in ("-h", "--help"):
            sys.stdout.write(USAGE.format(name=name, product="ramdisk" if name == RAMDISK else "disk image"))
            return 0
        if option == "--version":
            sys.stdout.write(f"{__version__}\n")
            return 0
    given = fields_of(pairs)
    caller = _cleared(os.environ) if given.pop("clear", False) else os.environ
    environment = {**caller, **own_environment}
    wanted = make_recipe(given, words, environment, arguments=arguments, ramdisk=name == RAMDISK)
    return _build(wanted, name, timestamps=environment.get("DIB_NO_TIMESTAMP") != "1")


def _build(wanted: Recipe, name: str, *, timestamps: bool) -> int:
    from pydib.build import run_build  # late: --help and mistakes should answer at once
    from pydib.report.reporters import reporter

    if wanted.logfile:
        sys.stdout.write(f"Output logs going to: {wanted.logfile}\n")
        sys.stdout.flush()
    wishes = Wishes(style="quiet" if wanted.quiet else "lines", logfile=wanted.logfile, timestamps=timestamps,
                    hidden=wanted.hidden)
    with reporter(wishes):
        pass  # a log that cannot be written is known before anything is built
    try:
        return run_build(wanted, wishes)
    except PydibError as error:
        with reporter(wishes) as report:
            _report_refusal(error, wanted, report)
        if wanted.quiet or not _same_file(sys.stdout.fileno(), sys.stderr.fileno()):
            sys.stderr.write(f"{name}: {error}\n")
        return error.exit_code


def _report_refusal(error: PydibError, wanted: Recipe, report: events.Reporter) -> None:
    """Into the log what a build says before its elements are resolved (C-065), and why it did not begin."""
    from pydib.element.resolve import with_defaults

    elements = with_defaults(wanted.elements, arch=wanted.arch, base=not wanted.skip_base,
                             ramdisk_element=wanted.ramdisk_element if wanted.ramdisk else "")
    report(events.BuildStarted(version=__version__, elements=elements))
    report(events.BuildFailed(message=str(error), exit_code=error.exit_code))


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def split(arguments: Sequence[str]) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Options with their values, and the elements. GNU getopt's rules: options may follow elements, long ones may be
    cut short (C-004); elements are joined and split again at blanks (C-011).

    What cuts one of DIB's options short means that option still, although we have three more.

    Raises:
        RecipeError: an unknown option, or a value missing.
    """
    try:
        pairs, rest = getopt.gnu_getopt(list(arguments), SHORT, DIBS_LONG)
    except getopt.GetoptError:
        try:
            pairs, rest = getopt.gnu_getopt(list(arguments), SHORT, LONG)
        except getopt.GetoptError as error:
            raise RecipeError(f"{error.msg}; --help lists the options") from None
    return pairs, recipe.words(" ".join(rest))


def fields_of(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Options as fields of a recipe.

    Raises:
        RecipeError: a value that cannot be.
    """
    given: dict[str, Any] = {}
    for option, value in pairs:
        _OPTIONS[option](given, value)
    return given


def parse(arguments: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Options as fields of a recipe, and the elements; raises as `split` and `fields_of` do."""
    pairs, words = split(arguments)
    return fields_of(pairs), words


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


def _min_tmpfs(given: dict[str, Any], value: str) -> None:
    """0 is a number here, too: memory is enough then, however little it is (C-124)."""
    given["min_tmpfs_gib"] = 0 if value == "0" else recipe.whole_number(value, name="--min-tmpfs", unit="GiB")


def _output(given: dict[str, Any], value: str) -> None:
    if not os.path.basename(value):
        raise RecipeError(f"-o names no file, but {value!r}", hint="give the output's name without its ending")
    given["image_name"] = value


def _packages(given: dict[str, Any], value: str) -> None:
    given["packages"] = (*given.get("packages", ()), *recipe.words(value.replace(",", " ")))


def _secret(given: dict[str, Any], value: str) -> None:
    given["secrets"] = (*given.get("secrets", ()), value)


_OPTIONS: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "-a": _store("arch"),
    "-o": _output,
    "-t": _store("types", recipe.types),
    "-x": _trace,
    "-u": _switch("compress", False),
    "-c": _switch("clear"),
    "-n": _switch("skip_base"),
    "-p": _packages,
    "--checksum": _store("checksums", lambda _: recipe.CHECKSUMS),
    "--no-tmpfs": _switch("tmpfs", False),
    "--offline": _switch("offline"),
    "--min-tmpfs": _min_tmpfs,
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
    "--secret": _secret,
    "--assemble": _store("assemble", lambda text: recipe.assemble(text, name="--assemble")),
    "--logfile": _store("logfile"),
    "--no-cache": _switch("layers", False),
    "--rebuild-from": _store("rebuild_from"),
    "--max-age": _store("max_age_seconds", lambda text: recipe.age(text, name="--max-age")),
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
    fields.setdefault("logfile", "")  # a LOGFILE of the caller's is for scripts only
    fields.setdefault("quiet", (environment.get("DIB_QUIET") or ("1" if fields["logfile"] else "0")) == "1")
    wanted = (*recipe.words(environment.get("IMAGE_ELEMENT", "")), *elements)
    return recipe.from_environment(environment, elements=wanted, arguments=tuple(arguments), **fields)


def _cleared(environment: Mapping[str, str]) -> dict[str, str]:
    """What `-c` leaves of the environment: enough to run programs, to reach the network and to log as is wanted (C-007;
    DIB fails)."""
    kept = ("HOME", "USER", "LOGNAME", "PATH", "TERM", "TMPDIR", "http_proxy", "https_proxy", "no_proxy",
            "ELEMENTS_PATH", "DIB_NO_TIMESTAMP", "DIB_QUIET", "PYDIB_CACHE_FROM", "PYDIB_CACHE_TO",
            "PYDIB_NO_CACHE")
    return {name: environment[name] for name in kept if name in environment}
