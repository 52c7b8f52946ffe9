"""What all tests share: the fixtures folder, and why a machine cannot run some of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.catalogue.results import Results

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


figures: list[str] = []
"""Lines for the end of the run: what was counted."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures."""
    for line in figures:
        terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test-boot-all` uses it."""
    parser.addoption("--record-boots", action="store_true", help="note which of the longest tests passed")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the tests that prove elements. Ctrl-C ends what tests start, even if the tests were started in the
    background, where a shell has it ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Results(config), "pydib-element-proofs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the real kernel need root."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("machine"):
                item.add_marker(pytest.mark.skip(reason="needs root: loop devices and mounts"))


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder `fixtures/`."""
    return FIXTURES
