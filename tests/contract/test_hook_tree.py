"""The hook tree: ours beside diskimage-builder's, file by file (contract section 3)."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest

from pydib.element.hooks import merge
from pydib.element.resolve import resolve
from pydib.element.shelf import Element, find_elements
from pydib.errors import ElementError
from pydib.runner.hooktree import make_hook_tree
from tests.contract.compare import Family, ShellOracle

OUTSIDE = Path(__file__).parent.parent / "phase"
Tree = dict[str, tuple[str, str, int]]
"""By relative path: kind, content or link target, mode."""


def snapshot(root: Path) -> Tree:
    """All that lies below `root`."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            relative = str(path.relative_to(root))
            if stat.S_ISLNK(mode):
                found[relative] = ("link", os.readlink(path), 0)
            elif stat.S_ISDIR(mode):
                found[relative] = ("folder", "", stat.S_IMODE(mode))
            else:
                found[relative] = ("file", path.read_bytes().decode("latin-1"), stat.S_IMODE(mode))
    return found


def compare_trees(family: Family, oracle: ShellOracle, elements: list[Element], scratch: Path, case: Any) -> None:
    """Make both trees and compare them; of clashing top-level files any contributor's content is right (C-076)."""
    scratch.mkdir()
    pairs = " ".join(f"[{element.name}]={element.path}" for element in elements)
    refused = ""
    try:
        make_hook_tree(merge(elements), scratch / "ours", lambda event: None)
        mine = snapshot(scratch / "ours")
    except ElementError as error:
        mine, refused = None, str(error)
    pairs = " ".join(f"[{element.name}]={element.path}" for element in elements)
    text, code = oracle.ask("hook_tree", str(scratch / "theirs"), pairs)
    theirs = snapshot(scratch / "theirs") if code == 0 else None
    if theirs is None or mine is None:
        told = text[-300:] if theirs is None else refused
        family.compare({"case": case, "told": told}, _outcome(theirs), _outcome(mine))
        return
    for relative in {path for path in theirs if theirs[path] != mine.get(path)} & set(mine):
        if mine[relative] in _contributed(elements, relative):
            theirs[relative] = mine[relative]
    different = {path for path in {*theirs, *mine} if theirs.get(path) != mine.get(path)}
    family.compare({"case": case, "elements": [str(each.path) for each in elements]},
                   {path: theirs.get(path) for path in different}, {path: mine.get(path) for path in different})


def _outcome(tree: Tree | None) -> str:
    return "refused" if tree is None else "a tree"


def _contributed(elements: list[Element], relative: str) -> list[tuple[str, str, int]]:
    """What the elements that clash have under that path; empty when only one has it."""
    found = []
    for element in elements:
        path = element.path / relative
        if path.is_symlink() and "/" in relative:
            found.append(("link", os.readlink(path), 0))
        elif path.is_file():
            found.append(("file", path.read_bytes().decode("latin-1"), stat.S_IMODE(path.stat().st_mode)))
    return found if len(found) > 1 else []


@pytest.mark.family("hook tree, real elements")
@pytest.mark.contract("C-070", "C-071", "C-073", "C-076", "C-078")
def test_trees_of_real_elements(family: Family, shell_oracle: ShellOracle, real_elements: Path, tmp_path: Path) -> None:
    dice = random.Random(4)
    shelf = find_elements([real_elements])
    names = [name for name in sorted(shelf.elements) if len(list(shelf[name].path.rglob("*"))) < 60]
    for number in range(16):
        chosen = dice.sample(names, dice.randint(1, 6))
        compare_trees(family, shell_oracle, [shelf[name] for name in chosen], tmp_path / str(number), chosen)
    whole = resolve(["debian-minimal", "vm", "block-device-gpt", "cloud-init-nocloud", "devuser"], shelf)
    compare_trees(family, shell_oracle, list(whole.elements), tmp_path / "whole", "a whole image")
    family.finish()


NAMES = ("10-a", "20-b", "x.sh", "README.rst", "tests", "__pycache__", ".hidden", "a.pyc", "50-conf", "data")
FOLDERS = ("install.d", "environment.d", "bin", "static", "tests", "__pycache__", ".git", "files", "test-elements")
ODD_NAMES = ("two words", "star*", "tab\there", "-dash", "quote'", "back\\slash", "ümlaut")


def grow(dice: random.Random, folder: Path, *, odd: bool) -> None:
    """An element with things at random in it."""
    folder.mkdir(parents=True)
    for name in dice.sample(NAMES, dice.randint(0, 4)):
        _put(dice, folder / name, depth=2)
    for name in dice.sample(FOLDERS, dice.randint(1, 4)):
        if (folder / name).exists() or (folder / name).is_symlink():
            continue
        (folder / name).mkdir()
        for inner in dice.sample([*NAMES, folder.name], dice.randint(0, 3)):
            _put(dice, folder / name / inner, depth=0)
        if odd:
            _put(dice, folder / name / dice.choice(ODD_NAMES), depth=2)


def _put(dice: random.Random, path: Path, *, depth: int) -> None:
    kind = dice.choice(("file", "file", "file", "link", "dangling", "folder link", "folder"))
    if kind == "file":
        path.write_text(f"{dice.random()}\n")
        path.chmod(dice.choice((0o644, 0o755, 0o600, 0o640, 0o4755)))
    elif kind == "link":
        own = path.parent.parent.parent / f"target{dice.random()}"  # cp of a second element may write through the link
        own.write_text("linked\n")
        path.symlink_to("../files/10-a" if depth == 0 else own)
    elif kind == "dangling":
        path.symlink_to("/nonexistent/x")
    elif kind == "folder link":
        path.symlink_to(OUTSIDE if depth == 2 else "../static")
    else:
        path.mkdir()
        if depth < 2:
            for inner in dice.sample((".keep", "deep", "10-a"), 2):
                _put(dice, path / inner, depth=depth + 1)


@pytest.mark.family("hook tree, generated elements")
@pytest.mark.contract("C-072", "C-074", "C-075", "C-079")
def test_trees_of_generated_elements(family: Family, shell_oracle: ShellOracle, tmp_path: Path) -> None:
    dice = random.Random(5)
    for number in range(90):
        place = tmp_path / f"elements{number}"
        for name in ("one", "two", "three")[:dice.randint(1, 3)]:
            grow(dice, place / name, odd=False)
        compare_trees(family, shell_oracle, list(find_elements([place])), tmp_path / f"tree{number}", number)
    family.finish()


@pytest.mark.family("hook tree, odd names")
@pytest.mark.contract("C-077", verdict="bettered", note="odd names are copied instead of breaking the build")
def test_trees_with_odd_names(family: Family, shell_oracle: ShellOracle, tmp_path: Path) -> None:
    dice = random.Random(6)
    for number in range(12):
        place = tmp_path / f"elements{number}"
        grow(dice, place / "one", odd=True)
        compare_trees(family, shell_oracle, list(find_elements([place])), tmp_path / f"tree{number}", number)
    family.finish()
