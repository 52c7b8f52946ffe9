"""`diskimage-builder FILE...`: builds the images of YAML files, one after another (contract C-031 to C-040)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from pydib import __version__
from pydib.cli import drop_in
from pydib.cli.errors import report_errors
from pydib.errors import EngineError, Interrupted, RecipeError
from pydib.yaml_builds import SCHEMA, ImageBuild, builds

NAME = "diskimage-builder"


@click.command(epilog="Settings of an image: " + ", ".join(SCHEMA) + ".",
               context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Show the commands that would run, and end.")
@click.option("--stop-on-failure", is_flag=True, help="Do not build the images after one that failed.")
@click.version_option(__version__, message="%(version)s")
def command(files: tuple[str, ...], dry_run: bool, stop_on_failure: bool) -> None:
    """Build the images that YAML FILEs describe: each file is a list, each image a map of settings.

    Images with the same imagename are one: lists are joined, other settings replaced by the later ones.
    """
    images = builds([(name, _content(name)) for name in files])
    if dry_run:
        for image in images:
            _announce(image)
    else:
        _build_all(images, stop_on_failure=stop_on_failure)


def run() -> None:
    """The `diskimage-builder` program."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Parse, and build; gives the exit code: 2 for wrong usage, 1 when a file is wrong or an image failed (C-038)."""
    return report_errors(lambda: command.main(list(arguments), prog_name=NAME, standalone_mode=False), program=NAME)


def _content(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise RecipeError(f"the build file cannot be read: {error.strerror}", where=name,
                          hint="check the path") from None


def _announce(image: ImageBuild) -> None:
    """The command line on stderr, and an empty line (C-037). The command is ours, so that it can be repeated."""
    sys.stderr.write(image.shell_line() + "\n\n")
    sys.stderr.flush()


def _build_all(images: Sequence[ImageBuild], *, stop_on_failure: bool) -> None:
    """Build all, or all up to the first failure.

    Raises:
        EngineError: images failed; names them.
        Interrupted: a signal ended a build; no other is begun then.
    """
    failed: list[tuple[ImageBuild, int]] = []
    for image in images:
        _announce(image)
        with _heard_signals() as heard:
            code = _build(image)
        if heard:
            raise Interrupted(heard[0])
        if code:
            failed.append((image, code))
            if stop_on_failure:
                break
    if failed:
        names = ", ".join(f"{image.name} (exit code {code})" for image, code in failed)
        raise EngineError(f"{len(failed)} of {len(images)} images failed: {names}",
                          hint="their logs say why; the commands above build them singly")


def _build(image: ImageBuild) -> int:
    """Build one image; gives its exit code. Its variables are there for as long (C-040)."""
    with _variables(image.environment):
        return drop_in.main(image.arguments, name=image.program, own_environment=image.environment)


@contextmanager
def _variables(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _heard_signals() -> Iterator[list[int]]:
    """Notice signals that a build takes for itself: its exit code alone does not tell them from a failing script's.

    Gives a list that holds their numbers after the block: Python writes each to the descriptor, whoever handles it.
    """
    heard: list[int] = []
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(before)
        with suppress(BlockingIOError):
            heard += os.read(reader, 64)
        os.close(reader)
        os.close(writer)
