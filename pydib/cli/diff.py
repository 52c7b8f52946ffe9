"""`pydib diff`: how two images, or two points of one build, differ; exit codes as of diff(1)."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from pydib import template
from pydib.cli.cache import store_of
from pydib.errors import PydibError
from pydib.layer.history import build_of
from pydib.layer.point import POINTS, mounted_state, own_mounts, state_at
from pydib.verify import difference
from pydib.verify.disk import write_tar
from pydib.verify.listing import Listing, of_folder, of_tar

TROUBLE = 2
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".aci")


@click.command()
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@click.option("--image", type=click.Path(path_type=Path), help="The points are those of the last build of this image.")
@click.option("--image-cache", type=click.Path(path_type=Path), help="The cache that the build used.")
@click.option("--files/--packages", "show_files", default=None, help="Compare only these.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(old: str, new: str, image: Path | None, image_cache: Path | None, show_files: bool | None, as_json: bool
            ) -> int:
    """Tell how A and B differ, by file and by package.

    A and B are disk images, tar files, or points of the last build: before:SCRIPT, after:SCRIPT. Nothing of an image
    is mounted, and it takes no root. The exit code is 0 when they are the same, 1 when they differ, 2 after an error.
    """
    try:
        with ExitStack() as stack:
            points = [one for one in (old, new) if _is_point(one)]
            if points:
                found = _of_points(stack, [old, new], image, image_cache)
            else:
                found = [_of_file(stack, Path(one)) for one in (old, new)]
            files, packages = _compared(found[0], found[1], show_files)
    except PydibError as error:
        error.exit_code = TROUBLE
        raise
    if as_json:
        told = {"files": [asdict(one) for one in files], "packages": [asdict(one) for one in packages]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write(template.render("diff.txt", files=files, packages=packages))
    return 1 if files or packages else 0


def _is_point(word: str) -> bool:
    return word.partition(":")[0] in POINTS and ":" in word and not os.path.exists(word)


def _compared(old: Listing, new: Listing, show_files: bool | None
              ) -> tuple[list[difference.Difference], list[difference.Difference]]:
    files = difference.files(old.items, new.items) if show_files is not False else []
    packages = (difference.packages(difference.packages_of(old), difference.packages_of(new))
                if show_files is not True else [])
    return files, packages


def _of_points(stack: ExitStack, words: list[str], image: Path | None, image_cache: Path | None) -> list[Listing]:
    store = stack.enter_context(store_of(image_cache))
    build = build_of(store, image)
    states = [state_at(build, word) if _is_point(word) else "" for word in words]
    own_mounts()
    return [of_folder(stack.enter_context(mounted_state(store, state))) if state else _of_file(stack, Path(word))
            for word, state in zip(words, states, strict=True)]


def _of_file(stack: ExitStack, path: Path) -> Listing:
    if path.name.endswith(_ARCHIVES) and path.is_file():
        return of_tar(stack.enter_context(path.open("rb")), where=str(path))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pydib-diff-")))
    write_tar(path, folder / "tar")
    listing = of_tar(stack.enter_context((folder / "tar").open("rb")), where=str(path))
    (folder / "tar").unlink()
    return listing
