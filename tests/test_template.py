"""Texts with holes."""

from __future__ import annotations

import pytest

from pydib.errors import EngineError, RecipeError
from pydib.template import render, render_text


def test_a_text_is_filled_in_without_escaping() -> None:
    assert render_text("{{ name }}: {{ value }}\n", name="a<b", value=3) == "a<b: 3\n"


def test_a_line_with_only_a_statement_leaves_nothing_behind() -> None:
    assert render_text("{% for word in words %}\n  - {{ word }}\n{% endfor %}\n", words=["a", "b"]) == "  - a\n  - b\n"


def test_a_missing_value_is_an_error_that_names_it_and_what_there_is() -> None:
    with pytest.raises(RecipeError) as caught:
        render_text("{{ nmae }}", where="x.j2", name="a")
    assert "'nmae' is undefined" in str(caught.value)
    assert "in: x.j2" in str(caught.value)
    assert "may use: name" in str(caught.value)


def test_a_broken_template() -> None:
    with pytest.raises(RecipeError, match="cannot be filled in"):
        render_text("{% if %}")


def test_a_template_from_outside_cannot_reach_into_python() -> None:
    with pytest.raises(RecipeError):
        render_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")


def test_our_own_templates_by_name() -> None:
    assert "All is there." in render("findings.txt", there=[], missing=[])


def test_an_unknown_template_of_ours() -> None:
    with pytest.raises(EngineError, match=r"no template nothing\.txt"):
        render("nothing.txt")
