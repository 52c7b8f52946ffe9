"""Why a script runs, in words that name the very input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pydib.layer.explain import Now, environment_change, why_new
from pydib.layer.records import Outcome, State

FACTS: dict[str, Any] = {
    "env1": {"A": "1", "DIB_RELEASE": "bookworm"}, "env2": {"A": "1", "DIB_RELEASE": "trixie"},
    "env3": {"DIB_RELEASE": "bookworm", "B": "", "C": "x" * 100},
    "env4": {"A": "secret:abc", "DIB_RELEASE": "bookworm"},
    "names1": {"files/a": "100644"}, "names2": {"files/a": "100644", "files/foo.conf": "100644"},
    "names3": {"files/a": "100755"}, "names4": {},
    "print1": "bookworm 1\nsecurity 1", "print2": "bookworm 1\nsecurity 2",
}
INPUTS = {"path": "install.d/20-foo", "script": "s1", "mode": "0755", "environment": "env1", "names": "names1",
          "tree": "t3", "phase": "p", "engine": "0.1", "machine": "x86_64", "directory": "/", "umask": "0022",
          "fingerprint": "print1"}
BEFORE = Outcome(script="install.d/20-foo", element="foo", phase="install", inputs=INPUTS)
CHAIN = [State(id="t1", parent="t0", made_by="root.d/10-os"), State(id="t2", parent="t1", made_by="install.d/10-x"),
         State(id="t3", parent="t2", made_by="install.d/15-y")]
CHAINS = {"t3": CHAIN}


def why(changed: Mapping[str, str], chain: list[State] | None = None, ran: tuple[str, ...] = (),
        earlier: tuple[Outcome, ...] = (BEFORE,)) -> str:
    return why_new(Now(inputs={**INPUTS, **changed}, chain=chain or CHAIN, ran=ran), earlier, FACTS.get, CHAINS.get)


def test_it_never_ran() -> None:
    assert why({}, earlier=()) == "no layer yet"


@pytest.mark.parametrize(("changed", "told"), [
    ({"script": "s2"}, "the script changed"),
    ({"mode": "0700"}, "the script's mode: 0755 -> 0700"),
    ({"environment": "env2"}, "environment DIB_RELEASE: bookworm -> trixie"),
    ({"environment": "env3"}, 'environment A: 1 -> (unset) (and 2 more: B C)'),
    ({"environment": "env4"}, "environment A: 1 -> (secret)"),
    ({"environment": "forgotten"}, "the environment changed"),
    ({"names": "names2"}, "files/foo.conf is new in the hook tree"),
    ({"names": "names3"}, "files/a has another mode or link in the hook tree"),
    ({"names": "names4"}, "files/a is no longer in the hook tree"),
    ({"fingerprint": "print2"}, "the outside world changed (fingerprint): security 2"),
    ({"phase": "q"}, "the phase file changed"),
    ({"engine": "0.2"}, "pydib changed"),
    ({"umask": "0077"}, "umask: 0022 -> 0077"),
    ({"script": "s2", "environment": "env2"}, "the script changed; environment DIB_RELEASE: bookworm -> trixie"),
])
def test_the_input_is_named(changed: dict[str, str], told: str) -> None:
    assert why(changed) == told


def test_what_it_builds_on_is_told_by_who_ran() -> None:
    now = [CHAIN[0], State(id="n2", parent="t1", made_by="install.d/10-x"), CHAIN[2]]
    assert why({"tree": "n3"}, now, ran=("install.d/10-x",)) == "it builds on install.d/10-x, which ran"
    assert why({"tree": "n3"}, now) == "it builds on install.d/10-x, which left something else"


def test_a_step_more_or_less_before_it() -> None:
    more = State(id="n2", parent="t1", made_by="install.d/05-new")
    assert why({"tree": "n"}, [CHAIN[0], more, *CHAIN[1:]], ran=("install.d/05-new",)) == \
        "it builds on install.d/05-new, which ran"
    assert why({"tree": "n"}, [CHAIN[0], CHAIN[2]]) == "it no longer builds on install.d/10-x"
    assert why({"tree": "n"}, CHAIN[:2]) == "it no longer builds on install.d/15-y"
    assert why({"tree": "n"}, [*CHAIN, more]) == "it builds on install.d/05-new"


def test_the_closest_of_the_earlier_ones_is_compared() -> None:
    far = replace(BEFORE, inputs={**INPUTS, "script": "s9", "environment": "env3", "mode": "0700"})
    assert why({"environment": "env2"}, earlier=(far, BEFORE)) == "environment DIB_RELEASE: bookworm -> trixie"


def test_variables_that_a_user_knows_are_told_before_what_is_made_of_them() -> None:
    old = {"BASH_FUNC_f%%": "() { a\n}", "IMAGE_ELEMENT": "a", "RELEASE": "x"}
    new = {"BASH_FUNC_f%%": "() { b\n}", "IMAGE_ELEMENT": "b", "RELEASE": "y"}
    assert environment_change(old, new) == "environment RELEASE: x -> y (and 2 more: IMAGE_ELEMENT BASH_FUNC_f%%)"
