"""Which elements an image gets: ours beside diskimage-builder's (contract section 2)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydib.element.resolve import resolve, with_defaults
from pydib.element.shelf import Shelf, find_elements, split_elements_path
from pydib.errors import AlreadyProvided, ElementError, ElementNotFound, NoOperatingSystem
from tests.contract.compare import Family, PythonOracle, ShellOracle

CLASSES: dict[type[ElementError], str] = {
    ElementNotFound: "MissingElementException", AlreadyProvided: "AlreadyProvidedException",
    NoOperatingSystem: "MissingOSException", ElementError: "InvalidElementDir"}
SEEDS = range(1, 7)
VIRTUAL = ("operating-system", "virtual-a", "virtual-b", "virtual-c")


def ours(wanted: list[str], shelf: Shelf) -> dict[str, Any]:
    """Our result in the oracle's form."""
    try:
        found = resolve(wanted, shelf)
    except ElementError as error:
        return {"error": CLASSES[type(error)]}
    return {"elements": {element.name: str(element.path) for element in found.elements}}


def compare_sets(family: Family, oracles: Callable[[int], PythonOracle], places: str, shelf: Shelf,
                 sets: list[list[str]]) -> None:
    """Compare many sets; where the oracle's answer hangs on the order of its hashes, ours must be one of them."""
    cases = [{"places": places, "wanted": wanted} for wanted in sets]
    for case, theirs in zip(cases, oracles(0).ask("resolve", cases), strict=True):
        mine = ours(case["wanted"], shelf)  # type: ignore[arg-type]
        if theirs != mine:
            possible = [theirs, *(oracles(seed).ask("resolve", [case])[0] for seed in SEEDS)]
            once = {**case, "wanted": list(dict.fromkeys(case["wanted"]))}
            theirs = mine if mine in possible else {
                "by hash order": possible,
                "each once": [oracles(seed).ask("resolve", [once])[0] for seed in (0, *SEEDS)]}
        family.compare(case, theirs, mine)


@pytest.mark.family("resolver, real elements")
@pytest.mark.contract("C-055", "C-056", "C-057", "C-058", "C-059", "C-060", "C-062")
def test_sets_of_real_elements(family: Family, oracles: Callable[[int], PythonOracle], real_elements: Path) -> None:
    dice = random.Random(1)
    shelf = find_elements([real_elements])
    names = sorted(shelf.elements)
    systems = sorted(name for name in names if "operating-system" in shelf[name].provides)
    sets = []
    for _ in range(2500):
        chosen = dice.sample(names, dice.randint(0, 7))
        chosen += [dice.choice(systems)] * (dice.random() < 0.7)
        chosen += [dice.choice(("no-such-element", "operating-system", "vm"))] * (dice.random() < 0.15)
        sets.append(dice.sample(chosen, len(chosen)) or ["vm"])
    compare_sets(family, oracles, str(real_elements), shelf, sets)
    family.finish()


def plant(dice: random.Random, places: list[Path]) -> list[str]:
    """Elements at random in some places; gives their names."""
    names = [f"e{number}" for number in range(dice.randint(4, 14))]
    known = [*names, *VIRTUAL]
    for place in places:
        place.mkdir(parents=True)
        for name in dice.sample(names, dice.randint(len(names) // 2, len(names))):
            _plant_one(dice, place / name, known)
        if dice.random() < 0.4:
            (place / "alias").symlink_to(dice.choice(names))
        if dice.random() < 0.3:
            (place / "a-file").write_text("not an element\n")
    return names


def _plant_one(dice: random.Random, folder: Path, known: list[str]) -> None:
    folder.mkdir()
    ends = dice.choice(("\n", "\r\n", "  \n", "\n\n"))
    if dice.random() < 0.7:
        wanted = dice.sample(known, dice.randint(0, 3)) + ["missing-one"] * (dice.random() < 0.02)
        (folder / "element-deps").write_text("".join(name + ends for name in wanted).rstrip("\n"))
    if dice.random() < 0.3:
        provided = dice.sample(known, 1) if dice.random() < 0.3 else [dice.choice(VIRTUAL)]
        (folder / "element-provides").write_text("".join(name + ends for name in provided))


@pytest.mark.family("resolver, generated elements")
@pytest.mark.contract("C-051", "C-052", "C-053", "C-054")
@pytest.mark.contract("C-055", "C-061", verdict="bettered", note="one answer whatever the hash order; success if any")
def test_sets_of_generated_elements(family: Family, oracles: Callable[[int], PythonOracle], tmp_path: Path) -> None:
    dice = random.Random(2)
    for number in range(70):
        places = [tmp_path / f"tree{number}" / name for name in ("first", "second")[:dice.randint(1, 2)]]
        names = plant(dice, places)
        systems = [name for name in names if dice.random() < 0.2]
        for name in systems[:1]:
            (places[0] / name).mkdir(exist_ok=True)
            (places[0] / name / "element-provides").write_text("operating-system\n")
        shelf = find_elements(places)
        sets = []
        for _ in range(30):
            chosen = dice.sample([*names, "alias", "virtual-a", "nowhere"], dice.randint(1, 4))
            chosen += chosen[:1] * (dice.random() < 0.05)
            sets.append([*chosen, *set(systems[:1]).difference(chosen)] if dice.random() < 0.8 else chosen)
        compare_sets(family, oracles, ":".join(map(str, places)), shelf, sets)
    family.finish()


@pytest.mark.family("elements path")
@pytest.mark.contract("C-050", verdict="bettered", note="empty entries are ignored")
def test_places_that_are_no_folders(family: Family, python_oracle: PythonOracle, tmp_path: Path) -> None:
    (tmp_path / "os").mkdir()
    (tmp_path / "os" / "element-provides").write_text("operating-system\n")
    (tmp_path / "file").write_text("")
    place = str(tmp_path)
    for path in (place, f"{place}:", f":{place}", f"{place}::{place}", f"{place}:{place}/none", f"{place}/file:{place}",
                 f"{place}:{place}"):
        theirs = python_oracle.ask("resolve", [{"places": path, "wanted": ["os"]}])[0]
        try:
            mine = ours(["os"], find_elements(split_elements_path(path)))
        except ElementError as error:
            mine = {"error": CLASSES[type(error)]}
        family.compare(path, theirs, mine)
    family.finish()


@pytest.mark.family("defaults")
@pytest.mark.contract("C-011", "C-063", "C-064", "C-030")
def test_elements_that_are_added_by_default(family: Family, shell_oracle: ShellOracle) -> None:
    dice = random.Random(3)
    some = ("vm", "debian", "block-device-gpt", "block-device-", "base", "my-block-device-efi-x", "vms", "ramdisk",
            "ubuntu")
    for _ in range(400):
        wanted = dice.sample(some, dice.randint(1, 5))
        wanted += wanted[:1] * (dice.random() < 0.05)
        arch = dice.choice(("amd64", "arm64", "aarch64", "armhf", "ppc64le", "x86_64", "s390x"))
        base, ramdisk = dice.random() < 0.5, dice.random() < 0.2
        given = dice.choice((" ", "  ")).join(wanted)
        text, code = shell_oracle.ask("wanted", given, arch, f"{'' if base else 'skip'} {'ramdisk' if ramdisk else ''}")
        assert code == 0, text
        mine = with_defaults(wanted, arch=arch, base=base, ramdisk_element="ramdisk" if ramdisk else "")
        family.compare((wanted, arch, base, ramdisk), text.split(), list(mine))
    family.finish()
