"""`pydib build`: the options of disk-image-create, long and readable, and progress on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pydib import recipe
from pydib.errors import RecipeError
from pydib.recipe import Recipe, Wishes

SUGGESTED_TYPES = "qcow2, raw, tar, tgz, squashfs, or any format of qemu-img"


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `build` and `plan` share."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.argument("elements", nargs=-1, metavar="ELEMENT..."),
    click.option("-o", "--output", "image_name", metavar="NAME", help="Output; its ending is added or kept."),
    click.option("-t", "--type", "types", metavar="LIST", help=f"Output formats: {SUGGESTED_TYPES}. Default qcow2."),
    click.option("-a", "--arch", metavar="ARCH", help="Architecture of the image; default the machine's."),
    click.option("--release", metavar="NAME", help="Release of the distribution (DIB_RELEASE)."),
    click.option("-p", "--package", "packages", multiple=True, metavar="NAME", help="Install this package too."),
    click.option("--no-base", "skip_base", flag_value=True, default=None, help="Leave out the element `base`."),
    click.option("--compression", type=click.Choice([*recipe.QCOW2_COMPRESSIONS, "none"]), default="zstd",
                 show_default=True, help="How qcow2 is compressed; zlib for clouds older than QEMU 5.1."),
    click.option("--checksum", "checksums", is_flag=True, help="Write md5 and sha256 files beside the outputs."),
    click.option("--image-size", metavar="GIB", help="Size of the disk."),
    click.option("--image-extra-size", metavar="MIB", help="Room beyond the tree, instead of two thirds of it."),
    click.option("--root-label", metavar="LABEL", help="Label of the root filesystem."),
    click.option("--mkfs-options", metavar="OPTIONS", help="Options for the root filesystem's mkfs."),
    click.option("--mkfs-journal-size", metavar="MIB", help="Size of an ext4 root's journal."),
    click.option("--max-online-resize", metavar="SIZE", help="The most that the filesystem can later grow to."),
    click.option("--qemu-img-options", metavar="OPTIONS", help="Options for qemu-img convert."),
    click.option("--install-type", type=click.Choice(["source", "package"]), help="Default install type."),
    click.option("--image-cache", type=click.Path(path_type=Path), help="Where downloads are kept."),
    click.option("--min-tmpfs", metavar="GIB", help="Build on disk when memory is less than twice this."),
    click.option("--no-tmpfs", "tmpfs", flag_value=False, default=None, help="Build on disk."),
    click.option("--offline", flag_value=True, default=None, help="Use only what is in the cache."),
    click.option("-x", "--trace", count=True, help="Trace scripts; twice for more."),
    click.option("--secret", "secrets", multiple=True, metavar="NAME",
                 help="Hide the value of this variable: scripts get it, logs and the image do not."),
    click.option("--phases", "phases_path", type=click.Path(path_type=Path), help="A folder with more phase files."),
    click.option("--seed", metavar="TEXT",
                 help="What UUIDs are derived from, besides elements and disk; `random`: new ones each time."),
    click.option("--no-cache", "layers", flag_value=False, default=None, help="Run every script; keep no layers."),
    click.option("--rebuild-from", metavar="SCRIPT", help="Run SCRIPT (install.d/20-x) and all after it."),
    click.option("--max-age", metavar="AGE", help="Use no layer older than AGE: 90s, 30m, 12h, 7d."),
    click.option("--cache-from", "cache_from", multiple=True, metavar="DIR", type=click.Path(path_type=Path),
                 help="Take layers from this directory, too; it may be given again."),
    click.option("--cache-to", "cache_to", metavar="DIR", type=click.Path(path_type=Path),
                 help="Put the build's layers into this directory, for others."),
    click.option("--block-device-config", metavar="YAML|file://PATH", help="The disk's layout."),
    click.option("--assemble", type=click.Choice(recipe.ASSEMBLE),
                 help="Make filesystems from the tree, or copy it onto a block device; auto decides."),
)


def make_recipe(options: dict[str, Any]) -> Recipe:
    """A recipe from the options above and the environment.

    Raises:
        RecipeError: a value that cannot be.
    """
    fields = {name: value for name, value in options.items() if value not in (None, (), "", False, 0)
              or (name in ("tmpfs", "layers") and value is False)}
    environment = dict(os.environ)
    if release := fields.pop("release", None):
        environment["DIB_RELEASE"] = release
    compression = fields.pop("compression", "zstd")
    fields.update({"compress": False} if compression == "none" else {"compression": compression})
    _convert(fields, "types", recipe.types)
    _convert(fields, "checksums", lambda _: recipe.CHECKSUMS)
    _convert(fields, "elements", lambda names: recipe.words(" ".join(names)))
    _convert(fields, "packages", lambda names: recipe.words(" ".join(names).replace(",", " ")))
    if "max_age" in fields:
        fields["max_age_seconds"] = recipe.age(str(fields.pop("max_age")), name="--max-age")
    _convert(fields, "secrets", lambda names: recipe.words(" ".join(names)))
    _convert(fields, "image_cache", lambda path: path.absolute())
    _convert(fields, "cache_from", lambda paths: tuple(path.absolute() for path in paths))
    _convert(fields, "cache_to", lambda path: path.absolute())
    if fields.get("layers") is False and {"cache_from", "cache_to"} & set(fields):
        raise RecipeError("--no-cache keeps no layers, so there are none to exchange",
                          hint="leave out --no-cache, or --cache-from and --cache-to")
    for name, option, unit, read in _NUMBERS:
        if option in fields:
            fields[name] = read(fields.pop(option), name="--" + option.replace("_", "-"), unit=unit)
    return recipe.from_environment(environment, arguments=tuple(sys.argv[1:]), **fields)


_NUMBERS: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    ("image_size_gib", "image_size", "GiB", recipe.number),
    ("image_extra_size_mib", "image_extra_size", "MiB", recipe.number),
    ("journal_size_mib", "mkfs_journal_size", "MiB", recipe.whole_number),
    ("min_tmpfs_gib", "min_tmpfs", "GiB", recipe.whole_number),
)


def _convert(fields: dict[str, Any], name: str, how: Callable[[Any], Any]) -> None:
    if name in fields:
        fields[name] = how(fields[name])


@click.command()
@recipe_options
@click.option("--logfile", metavar="FILE", help="Append the log to FILE as well.")
@click.option("--events", "events_file", metavar="FILE", help="Append what happens to FILE as lines of JSON.")
@click.option("--timeline", "timeline_file", metavar="FILE",
              help="Write a page with the build's timeline, and FILE.json for trace viewers.")
@click.option("--progress", type=click.Choice(["auto", "lines", "live", "quiet"]), default="auto", show_default=True,
              help="What to show: auto is live on a terminal and lines elsewhere.")
def command(logfile: str | None, events_file: str | None, timeline_file: str | None, progress: str, **options: Any
            ) -> int:
    """Build an image from ELEMENTs, for example: pydib build -o debian debian-minimal vm."""
    from pydib.build import run_build

    if not options["elements"]:
        raise RecipeError("no elements were named; at least one distribution root element is needed",
                          hint="for example: pydib build -o debian debian-minimal vm")
    wanted = make_recipe(options)
    live = sys.stdout.isatty() and not wanted.environment.get("break")  # a break shell wants the terminal
    styles = {"auto": "progress" if live else "lines", "live": "progress"}
    return run_build(wanted, Wishes(
        style=styles.get(progress, progress), logfile=logfile or "", events_file=events_file or "",
        timeline_file=timeline_file or "",
        timestamps=not recipe.truth(os.environ.get("DIB_NO_TIMESTAMP", ""))))
