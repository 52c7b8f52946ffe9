"""Which elements a unit test brings together."""

from __future__ import annotations

import pytest

from pydib.element.shelf import find_elements
from pydib.errors import ElementNotFound
from pydib.testkit.hooks import with_dependencies


@pytest.fixture
def shelf(tmp_path):
    for name, needs in (("app", "tools\nnot-here\n"), ("tools", "app\n"), ("other", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "element-deps").write_text(needs)
    return find_elements([tmp_path])


def test_dependencies_come_along_as_far_as_they_are_there(shelf):
    assert [element.name for element in with_dependencies(["app"], shelf)] == ["app", "tools"]


def test_the_element_itself_must_be_there(shelf):
    with pytest.raises(ElementNotFound, match="did you mean other"):
        with_dependencies(["othr"], shelf)
