"""Does an earlier outcome still stand? And if not, what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pydib.layer.lookup import DAY_SECONDS, Limits, look_up
from pydib.layer.records import Outcome

NOW = 1_700_000_000.0
GOOD = Outcome(script="install.d/20-foo", element="foo", phase="install", inputs={"script": "s"},
               trace={"files/foo.conf": "old"}, named={"IMAGE_NAME": "a"}, before="b", after="c", created=NOW - 100)


def found(*outcomes: Outcome, digests: dict[str, str] | None = None, image: str = "a", limits: Limits | None = None,
          problem: str = "") -> tuple[str, str]:
    result = look_up(outcomes, volatile={"IMAGE_NAME": image, "TERM": "x"},
                     digest_now=(digests or {"files/foo.conf": "old"}).get, limits=limits or Limits(now=NOW),  # type: ignore[arg-type]
                     usable=lambda state: problem)
    return (result.outcome.after if result.outcome else ""), result.objection


def test_everything_is_the_same() -> None:
    assert found(GOOD) == ("c", "")


def test_there_is_none() -> None:
    assert found() == ("", "")


def test_a_file_that_was_read_changed() -> None:
    assert found(GOOD, digests={"files/foo.conf": "new"}) == (
        "", "files/foo.conf, read by install.d/20-foo, changed")


def test_a_file_that_was_read_is_gone() -> None:
    assert found(GOOD, digests={"other": "x"})[1] == "files/foo.conf, read by install.d/20-foo, changed"


def test_a_variable_that_it_names_changed() -> None:
    assert found(GOOD, image="b") == ("", "environment IMAGE_NAME: a -> b")


def test_one_of_several_stands() -> None:
    other = replace(GOOD, trace={"files/foo.conf": "older"}, after="d")
    assert found(other, GOOD) == ("c", "")
    assert found(other, GOOD, digests={"files/foo.conf": "older"}) == ("d", "")


def test_what_was_done_beside_the_tree_cannot_be_repeated() -> None:
    assert found(replace(GOOD, not_reusable="it leaves /b/x beside the tree"))[1] == "it leaves /b/x beside the tree"


def test_the_store_says_no() -> None:
    assert found(GOOD, problem="its layer was changed in the store")[1] == "its layer was changed in the store"


@pytest.mark.parametrize(("age", "expires", "limits", "told"), [
    (DAY_SECONDS - 1, True, Limits(now=NOW), ""),
    (DAY_SECONDS + 1, True, Limits(now=NOW), "its layer is 24 hours old, and foo has no fingerprint"),
    (DAY_SECONDS * 9, True, Limits(now=NOW, offline=True), ""),
    (DAY_SECONDS * 9, True, Limits(now=NOW, max_age=DAY_SECONDS * 10), ""),
    (DAY_SECONDS * 9, False, Limits(now=NOW), ""),
    (DAY_SECONDS * 9, False, Limits(now=NOW, max_age=DAY_SECONDS), "its layer is 9 days old"),
    (100, False, Limits(now=NOW, max_age=10.0), "its layer is 100 seconds old"),
    (-7200, True, Limits(now=NOW), "its layer is from the future: the clock was set back"),
    (-7200, False, Limits(now=NOW), ""),
])
def test_how_old_it_may_be(age: float, expires: bool, limits: Limits, told: str) -> None:
    assert found(replace(GOOD, created=NOW - age, expires=expires), limits=limits)[1] == told
