"""The catalogue of elements is whole and up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalogue import pages


def test_the_pages_are_up_to_date() -> None:
    wanted = pages.pages()
    written = {path: path.read_text(encoding="utf-8") for path in pages.PAGES.iterdir()}
    stale = sorted(path.name for path in wanted.keys() | written.keys() if wanted.get(path) != written.get(path))
    assert stale == [], "run: python -m tests.catalogue.pages"


def test_every_element_has_a_proof() -> None:
    proven = pages.by_element()
    assert [element.name for element in pages.shelf() if not proven.get(element.name)] == []


def test_marks_name_elements_that_there_are() -> None:
    ours = pages.shelf()
    assert [proof for proof in pages.proofs() if proof.element not in ours] == []


def test_lists_have_known_proofs_and_no_element_twice() -> None:
    lists = pages.wanted()
    names = [name for each in lists.values() for name in each]
    assert len(names) == len(set(names)) and len(lists["seed"]) == 64
    assert {need for each in lists.values() for need in each.values()} <= set(pages.KINDS)


def test_all_are_here_and_proven_as_they_should_be() -> None:
    ours, proven = pages.shelf(), pages.by_element()
    assert {name for each in pages.wanted().values() for name, need in each.items()
            if name not in ours or pages.is_less(proven.get(name, []), need)} == set()


def test_the_strongest_proof_counts_and_a_lesser_one_is_told() -> None:
    boot, fake = (pages.Proof(element="vm", how=how, test="t") for how in ("boot", "fake root"))
    assert pages._row("vm", "boot", [boot, fake], there=True) == "| [vm](vm.rst) | boot | boot | each run |"
    less = pages._row("vm", "boot", [fake], there=True)
    assert less.endswith("| boot | fake root (less than is wanted) | each run |")
    assert pages._row("x", "boot", [], there=False) == "| x | boot | not written yet | |"


def test_marks_are_read_and_wrong_ones_are_told(tmp_path: Path) -> None:
    test = tmp_path / "tests/test_x.py"
    test.parent.mkdir()
    test.write_text("@pytest.mark.proves('vm', 'base', how='boot')\ndef test_x():\n    pass\n")
    assert [(one.element, one.how, one.test) for one in pages.proofs(tmp_path)] == [
        ("vm", "boot", "tests/test_x.py::test_x"), ("base", "boot", "tests/test_x.py::test_x")]
    test.write_text("@pytest.mark.proves('vm', how='wish')\ndef test_x():\n    pass\n")
    with pytest.raises(ValueError, match="how is one of"):
        list(pages.proofs(tmp_path))
