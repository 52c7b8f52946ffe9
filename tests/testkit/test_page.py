"""The page "Test your element": every example in it is run."""

from __future__ import annotations

import re

import pytest

from pydib.testkit.ready import ready_names
from tests.testkit import page as pages

pytest_plugins = ["pytester"]
PAGE = pages.read()


def test_no_example_is_left_out():
    assert PAGE.unknown == []
    assert len(PAGE.files) >= 7 and len(PAGE.commands) == 2 and PAGE.output and PAGE.image


def test_the_examples_run_and_show_what_the_page_shows(pytester: pytest.Pytester):
    PAGE.write(pytester.path)
    for number, command in enumerate(PAGE.commands):
        program, *options = command.split()
        assert program == ".venv/bin/pytest"
        result = pytester.runpytest(*options, "--import-mode=importlib")
        tests = sum(len(re.findall(r"^def test_", text, re.MULTILINE)) for text in PAGE.files.values())
        result.assert_outcomes(passed=tests + 1)  # one has two roots
        if number == 1:
            told = {tuple(line.split()) for line in result.outlines}
            assert {tuple(line.split()) for line in PAGE.output.splitlines()} <= told
    assert (pytester.path / "pages/index.html").exists()


def test_every_ready_root_is_named(pytester: pytest.Pytester):
    text = pages.PAGE.read_text()
    assert [name for name in ready_names() if f"`{name}`" not in text] == []
