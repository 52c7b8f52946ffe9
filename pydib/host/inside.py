"""Work on a target from outside, as root: where a script has put a link, a path may lead anywhere on the host."""

from __future__ import annotations

from pathlib import Path

from pydib.errors import EngineError


def is_inside(root: Path, name: str) -> bool:
    """Whether `/name` of the target, all links followed as the host follows them, lies in the target."""
    return (root / name).resolve().is_relative_to(root.resolve())


def folder_inside(root: Path, name: str, *, hint: str = "the operating system element must make it in root.d") -> Path:
    """The folder `/name` of the target.

    Raises:
        EngineError: there is none, or it is a link that leads out of the target.
    """
    place = root / name
    if not is_inside(root, name):
        raise EngineError(f"/{name} of the target is a link that leads out of it, to {place.resolve()}",
                          where=str(place), hint="a script made it; it must be a folder, or a relative link to one")
    if not place.is_dir():
        raise EngineError(f"the target has no folder /{name}", where=str(root), hint=hint)
    return place


def write_inside(root: Path, folder: str, name: str, text: str) -> None:
    """Write the file `name` in `/folder` of the target, which is made when it is missing; a link of that name goes.

    Raises:
        EngineError: the folder is a link that leads out of the target.
    """
    if is_inside(root, folder):
        (root / folder).mkdir(exist_ok=True)
    path = folder_inside(root, folder) / name
    if path.is_symlink():
        path.unlink()
    path.write_text(text, encoding="utf-8")
