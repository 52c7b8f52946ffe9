"""Secrets: hidden in every form in which they get into a log."""

from __future__ import annotations

import subprocess

import pytest

from pydib.errors import RecipeError
from pydib.events import Note, PhaseFinished
from pydib.masking import Mask, values_of
from pydib.recipe import from_environment

HARD = "a$b'c d/e?f&g\\"


def test_a_value_is_hidden_wherever_it_stands() -> None:
    assert Mask(["s3cret"]).text("https://me:s3cret@host s3cret,s3cret") == "https://me:***@host ***,***"


def test_a_longer_value_goes_before_one_that_is_part_of_it() -> None:
    assert Mask(["token", "token-and-more"]).text("token-and-more token") == "*** ***"


def test_what_bash_traces_and_what_a_url_holds_is_hidden() -> None:
    program = 'set -x; : "$1"; : -p="$1"; printf "%s %q" "$1" "$1" >&2'
    traced = subprocess.run(["bash", "-c", program, "bash", HARD], capture_output=True, text=True, check=True).stderr
    for text in (traced, "https://me:a%24b%27c%20d%2Fe%3Ff%26g%5C@host", "https://x/?q=a%24b%27c+d%2Fe%3Ff%26g%5C"):
        shown = Mask([HARD]).text(text)
        assert "f&g" not in shown
        assert "e%3Ff" not in shown
        assert "***" in shown


def test_each_line_of_a_key_is_hidden() -> None:
    mask = Mask(["-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n"])
    assert mask.text("+ echo MIIEvQIBADANBg") == "+ echo ***"


def test_events_are_masked_through_and_through() -> None:
    mask = Mask(["s3cret"])
    assert mask.event(Note(text="is s3cret")) == Note(text="is ***")
    ended = PhaseFinished(phase="install", directory="install.d", seconds=1.5, scripts=(("10-s3cret", 0.5),))
    assert mask.event(ended).scripts == (("10-***", 0.5),)


def test_without_secrets_nothing_changes() -> None:
    note = Note(text="plain")
    assert Mask([]).event(note) is note


@pytest.mark.parametrize(("name", "value", "message"), [
    ("MISSING", None, "no variable of the environment"), ("EMPTY", "", "no variable of the environment"),
    ("s3cret value", None, "takes a variable's name, not a value"), ("SHORT", "abc", "too short to be kept secret"),
])
def test_what_cannot_be_kept_secret_is_refused(name: str, value: str | None, message: str) -> None:
    environment = {} if value is None else {name: value}
    with pytest.raises(RecipeError) as caught:
        values_of([name], environment)
    assert message in str(caught.value)


def test_the_environment_may_name_secrets_too() -> None:
    wanted = from_environment({"DIB_SECRETS": "ONE,TWO", "ONE": "first", "TWO": "second"}, elements=("x",))
    assert wanted.hidden == ("first", "second")
    assert "first" not in repr(wanted)
