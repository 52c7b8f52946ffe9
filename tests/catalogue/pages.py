"""Writes docs/elements/: a page for each of our elements, and the table of all, with their proof.

    python -m tests.catalogue.pages

An element's own tests, which run its scripts on fake roots, are a proof. Others say so by a mark on the test:
`@pytest.mark.proves("growroot", "devuser", how="boot")`.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydib.element.hooks import merge
from pydib.element.shelf import Element, Shelf, find_elements
from pydib.element.variables import page_of
from tests.catalogue.notes import ROOT, boots, result

PAGES = ROOT / "docs" / "elements"
WANTED = Path(__file__).with_name("wanted.toml")
KINDS = ("boot", "real run", "fake root", "stand-in")
"""Ways to prove an element, the strongest first."""
TITLES = {"seed": "DIB's elements of 2015", "modern": "DIB's elements of today", "trove": "Trove's elements",
          "others": "More"}

HEAD = """\
# Elements

*Wanted* is the proof that an element needs, *proof* what our tests give:

* *boot*: a virtual machine starts the image and shows the element's effect.
* *real run*: a real build, or the real tool, leaves what it should.
* *fake root*: its scripts run on fake roots, their commands are recorded ([testing elements](../testing-elements.md)).
* *stand-in*: hardware or downloads that nobody can have are replaced by something that behaves like them.

*Result*: with *each run* a test of `make test` proves it, and that run fails unless this test has passed. The longest
tests run in `make test-boot-all` only: for these it is the day when the test last passed, noted by that run in
`tests/catalogue/boots.json`, and whether the element changed since. A row with less than is wanted says so.

Which elements can be planned with which operating system: `python -m tests.catalogue.matrix`. This folder is written by
`python -m tests.catalogue.pages`; do not edit it.
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A test that proves an element, and how."""

    element: str
    how: str
    test: str


def wanted() -> dict[str, dict[str, str]]:
    """By list, the elements that there should be and the proof that each needs; ours in no list under `others`."""
    lists: dict[str, dict[str, str]] = tomllib.loads(WANTED.read_text(encoding="utf-8"))
    listed = {name for each in lists.values() for name in each}
    lists["others"] = {element.name: "fake root" for element in shelf() if element.name not in listed}
    return lists


def shelf() -> Shelf:
    """Our own elements."""
    return find_elements([ROOT / "elements"])


def proofs(root: Path = ROOT) -> Iterator[Proof]:
    """The elements' own tests, and the marks of all others."""
    for path in sorted(root.glob("elements/*/tests/test_*.py")):
        yield Proof(element=path.parts[-3], how="fake root", test=str(path.relative_to(root)))
    for path in sorted([*(root / "tests").rglob("test_*.py"), *root.glob("elements/*/tests/test_*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in (part for decorator in node.decorator_list for part in ast.walk(decorator)):
                    yield from _marked(mark, f"{path.relative_to(root)}::{node.name}")


def _marked(mark: ast.AST, test: str) -> Iterator[Proof]:
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.proves":
        how = ast.literal_eval(mark.keywords[0].value)
        if how not in KINDS:
            raise ValueError(f"{test}: how is one of {KINDS}, not {how!r}")
        yield from (Proof(element=ast.literal_eval(name), how=how, test=test) for name in mark.args)


def by_element() -> Mapping[str, list[Proof]]:
    """The proofs of each element, the strongest first."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for proof in sorted(proofs(), key=lambda one: KINDS.index(one.how)):
        found[proof.element].append(proof)
    return found


def table() -> str:
    """The table of all elements."""
    ours, proven = shelf(), by_element()
    lines = [HEAD]
    for name, entries in wanted().items():
        there = sum(element in ours for element in entries)
        lines += [f"## {TITLES[name]}", "", f"{there} of {len(entries)} are here.", "",
                  "| element | wanted | proof | result |", "|---|---|---|---|",
                  *(_row(element, need, proven.get(element, []), there=element in ours)
                    for element, need in sorted(entries.items())), ""]
    return "\n".join(lines)


def _row(name: str, need: str, found: list[Proof], *, there: bool) -> str:
    if not there:
        return f"| {name} | {need} | not written yet | |"
    best = strongest(found)
    how = best[0].how if best else "none"
    less = " (less than is wanted)" if is_less(found, need) else ""
    told = result(name, [proof.test for proof in best], boots())
    return f"| [{name}]({name}.rst) | {need} | {how}{less} | {told} |"


def strongest(found: list[Proof]) -> list[Proof]:
    """The proofs of the strongest kind."""
    return [proof for proof in found if proof.how == found[0].how]


def is_less(found: list[Proof], need: str) -> bool:
    """Whether no proof is as strong as is needed."""
    return not found or KINDS.index(found[0].how) > KINDS.index(need)


def page(element: Element, found: list[Proof]) -> str:
    """An element's README with what its files and tests say below it."""
    readme = page_of(element.path).rstrip("\n")
    return "\n".join([readme, "", "Facts", _underline(readme) * 5, "", *_facts(element, found), ""])


def _underline(readme: str) -> str:
    """The character below the page's second title: sections of this page look like its own."""
    lines = readme.splitlines()
    marks = [line[0] for line in lines[3:] if len(line) > 2 and set(line) <= set("=-~^")]
    return marks[0] if marks else "-"


def _facts(element: Element, found: list[Proof]) -> list[str]:
    files = [entry.target for entry in merge([element]) if not entry.is_dir]
    phases = sorted({name.partition("/")[0] for name in files if name.partition("/")[0].endswith(".d")})
    users = sorted(other.name for other in shelf() if element.name in other.depends)
    rows = {
        "Folders": phases, "Needs": element.depends, "Needed by": users, "Provides": element.provides,
        "Proof": [f"{proof.how}: {proof.test}" for proof in found],
    }
    return [f":{key}: {', '.join(f'``{value}``' for value in values)}" for key, values in rows.items() if values]


def pages() -> dict[Path, str]:
    """Every file of the folder, with its text."""
    proven = by_element()
    return {PAGES / "README.md": table(),
            **{PAGES / f"{element.name}.rst": page(element, proven.get(element.name, [])) for element in shelf()}}


def main() -> None:
    """Write the folder anew."""
    texts = pages()
    PAGES.mkdir(parents=True, exist_ok=True)
    for stale in PAGES.iterdir():
        stale.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGES.relative_to(ROOT)} written: {len(texts) - 1} elements\n")


if __name__ == "__main__":
    main()
