"""Writes docs/contract.md: every statement of the contract, our verdict, and the tests that prove it.

    python -m tests.contract.table
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.contract.betterments import BETTERMENTS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "contract.md"
STATEMENTS = Path(__file__).with_name("statements.toml")
VERDICTS = ("kept", "bettered")
SECTION_STARTS = {1: 1, 50: 2, 70: 3, 83: 4, 110: 5, 180: 6, 190: 7, 205: 8, 230: 9, 240: 10, 280: 11, 310: 12}
AMONG_HELPERS = frozenset({"C-157"})
"""A number that does not lie in its section's range."""

HEAD = """\
# The contract, and how it is kept

Elements written for diskimage-builder rely on all of this. *Kept*: pydib does the same. *Bettered*: pydib does what was
meant, or accepts more. The last column names the tests that prove it; `make test` runs them, and the families below
`tests/contract/` compare with diskimage-builder itself, case by case. The last section lists what differs on purpose.

This page is written by `python -m tests.contract.table`; do not edit it.
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One marker: this test proves that statement."""

    number: str
    test: str
    path: str
    verdict: str
    note: str


class MarkerError(Exception):
    """A marker that cannot be read; the text says where and why."""


def proofs(root: Path = ROOT) -> Iterator[Proof]:
    """All markers in tests/ and elements/*/tests.

    Raises:
        MarkerError: a marker with an unknown verdict, or whose arguments are no plain texts.
    """
    for path in sorted([*(root / "tests").rglob("test_*.py"), *root.glob("elements/*/tests/test_*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for decorator in node.decorator_list:
                    yield from _proofs_of(decorator, node.name, str(path.relative_to(root)))


def _proofs_of(decorator: ast.expr, test: str, path: str) -> Iterator[Proof]:
    if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func) != "pytest.mark.contract":
        return
    try:
        numbers = [ast.literal_eval(each) for each in decorator.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in decorator.keywords}
    except ValueError:
        raise MarkerError(f"{path}: {test}: the marker's arguments must be plain texts") from None
    verdict = named.get("verdict", "kept")
    if verdict not in VERDICTS:
        raise MarkerError(f"{path}: {test}: verdict is one of {VERDICTS}, not {verdict!r}")
    for number in numbers:
        yield Proof(number=number, test=test, path=path, verdict=verdict, note=named.get("note", ""))


def statements() -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]:
    """Titles of sections, titles of statements, and why some do not apply."""
    found = tomllib.loads(STATEMENTS.read_text(encoding="utf-8"))
    return found["sections"], found["titles"], found["not_applicable"]


def by_number() -> dict[str, list[Proof]]:
    """The proofs of each statement."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for proof in proofs():
        found[proof.number].append(proof)
    return found


def open_rows() -> list[str]:
    """Numbers that no test proves and that are not set aside."""
    _, titles, aside = statements()
    proven = by_number()
    return [number for number in titles if number not in aside and not proven.get(number)]


def page() -> str:
    """The whole page."""
    sections, titles, aside = statements()
    proven = by_number()
    rows: dict[int, list[str]] = defaultdict(list)
    for number, title in titles.items():
        rows[section_of(number)].append(_row(number, title, proven.get(number, []), aside.get(number, "")))
    words = [_verdict(proven.get(number, []), aside.get(number, "")) for number in titles]
    lines = [HEAD, " · ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words))), ""]
    for key, title in sections.items():
        lines += [f"## {key}. {title}", "", "| number | statement | verdict | proven by |", "|---|---|---|---|",
                  *rows[int(key)], ""]
    return "\n".join([*lines, *_differences()])


def _differences() -> list[str]:
    """The section about deliberate differences."""
    lines = ["## Deliberate differences", "",
             "What the comparison with diskimage-builder forgives, by family of cases.", "",
             "| family | difference | reason |", "|---|---|---|"]
    return [*lines, *(f"| {each.family} | {each.name} | {each.reason} |" for each in BETTERMENTS), ""]


def section_of(number: str) -> int:
    """The section that a statement belongs to."""
    if number in AMONG_HELPERS:
        return 10
    value = int(number.removeprefix("C-"))
    return next(section for start, section in reversed(SECTION_STARTS.items()) if start <= value)


def _verdict(found: list[Proof], aside: str) -> str:
    if aside:
        return "not applicable"
    if not found:
        return "OPEN"
    return "bettered" if any(proof.verdict == "bettered" for proof in found) else "kept"


def _row(number: str, title: str, found: list[Proof], aside: str) -> str:
    notes = "; ".join(dict.fromkeys(proof.note for proof in found if proof.note))
    verdict = _verdict(found, aside) + (f": {aside or notes}" if aside or notes else "")
    tests: dict[str, list[str]] = defaultdict(list)
    for proof in found:
        tests[_short(proof.path)].append(proof.test.removeprefix("test_"))
    proven = "<br>".join(f"`{path}`: {', '.join(dict.fromkeys(names))}" for path, names in tests.items())
    return f"| {number} | {title.replace('|', chr(92) + '|')} | {verdict.replace('|', chr(92) + '|')} | {proven} |"


def _short(path: str) -> str:
    """`tests/x/test_y.py` as `x/y`, `elements/e/tests/test_e.py` as `element e`."""
    element = re.match(r"elements/([^/]+)/", path)
    return f"element {element[1]}" if element else re.sub(r"^tests/|test_(?=[^/]*$)|\.py$", "", path)


def main() -> None:
    """Write the page; tell what is open."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    left = open_rows()
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written" + (f"; open: {' '.join(left)}" if left else "") + "\n")


if __name__ == "__main__":
    main()
