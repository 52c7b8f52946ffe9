"""The table of the contract is whole and up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import table


def test_every_statement_has_a_test_or_a_reason() -> None:
    assert table.open_rows() == [], "mark the tests that prove these with @pytest.mark.contract"


def test_markers_name_statements_that_there_are() -> None:
    _, titles, aside = table.statements()
    assert {proof.number for proof in table.proofs()} <= titles.keys()
    assert aside.keys() <= titles.keys()
    assert not aside.keys() & table.by_number().keys(), "set aside, and yet proven"


def test_titles_are_short() -> None:
    _, titles, _ = table.statements()
    assert [title for title in titles.values() if len(title.split()) > 13] == []


def test_the_page_is_up_to_date() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run: python -m tests.contract.table"


def test_statements_stand_in_their_sections() -> None:
    sections, titles, _ = table.statements()
    assert {table.section_of(number) for number in titles} == {int(key) for key in sections}
    assert [table.section_of(number) for number in ("C-040", "C-050", "C-157", "C-164", "C-326")] == [1, 2, 10, 5, 12]


@pytest.mark.parametrize(("line", "wrong"), [
    ("@pytest.mark.contract('C-001', verdict='better')", "verdict is one of"),
    ("@pytest.mark.contract(NUMBER)", "plain texts")])
def test_a_wrong_marker_is_told(tmp_path: Path, line: str, wrong: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(f"{line}\ndef test_x():\n    pass\n")
    with pytest.raises(table.MarkerError, match=wrong):
        list(table.proofs(tmp_path))
