"""A run of tests knows whether the proofs that the table of elements tells of were given."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.catalogue import notes, pages, results

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from tests.catalogue.results import Results

def pytest_addoption(parser):
    parser.addoption("--record-boots", action="store_true")

def pytest_configure(config):
    config.addinivalue_line("markers", "proves(elements, how): x")
    config.pluginmanager.register(Results(config))
"""
TESTS = """
import os
import pytest

@pytest.mark.proves("quick", how="boot")
@pytest.mark.parametrize("number", [1, 2])
def test_quick(number):
    if os.environ.get("SKIP") in (str(number), "all"):
        pytest.skip("there is no QEMU")

@pytest.mark.proves("slow", how="boot")
@pytest.mark.skipif(not os.environ.get("ALL"), reason="long: `make test-boot-all` runs it")
def test_slow():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Two elements and their tests, one of which is among the longest."""
    pytester.makeini("[pytest]\ntestpaths = checks\n")
    for path, text in {"checks/conftest.py": CONFTEST, "checks/test_x.py": TESTS, "elements/slow/a": "1"}.items():
        (pytester.path / path).parent.mkdir(parents=True, exist_ok=True)
        (pytester.path / path).write_text(text)
    proven = {name: [pages.Proof(element=name, how="boot", test=f"checks/test_x.py::test_{name}")]
              for name in ("quick", "slow")}
    for module in (pages, notes):
        monkeypatch.setattr(module, "ROOT", pytester.path)
    monkeypatch.setattr(notes, "BOOTS", pytester.path / "boots.json")
    monkeypatch.setattr(pages, "by_element", lambda: proven)
    monkeypatch.setattr(pages, "wanted", lambda: {"seed": {"quick": "boot", "slow": "boot"}})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("ALL", "SKIP"):
        monkeypatch.delenv(name, raising=False)
    return pytester


def run(project: pytest.Pytester, *words: str) -> tuple[int, str]:
    done = project.runpytest_inprocess("-p", "no:cacheprovider", *words)
    return int(done.ret), done.stdout.str()


def test_a_full_run_fails_where_a_long_test_was_never_seen_green(project: pytest.Pytester) -> None:
    code, told = run(project)
    assert code == 1
    assert "slow: checks/test_x.py::test_slow: long: `make test-boot-all` runs it" in told
    assert "quick: " not in told


def test_a_noted_run_counts_and_the_table_tells_its_day(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
                                                        ) -> None:
    monkeypatch.setenv("ALL", "1")
    assert run(project, "--record-boots")[0] == 0
    noted = json.loads((project.path / "boots.json").read_text())
    assert list(noted) == ["checks/test_x.py::test_slow"], "what runs each time needs no note"
    monkeypatch.delenv("ALL")
    assert run(project)[0] == 0
    day = noted["checks/test_x.py::test_slow"]["slow"]["date"]
    tests = ["checks/test_x.py::test_slow"]
    assert notes.result("slow", tests, notes.boots()) == day
    for name in ("README.rst", "tests/test_slow.py"):
        (project.path / "elements/slow" / name).parent.mkdir(exist_ok=True)
        (project.path / "elements/slow" / name).write_text("what it says, not what it does")
    assert notes.result("slow", tests, notes.boots()) == day
    (project.path / "elements/slow/a").write_text("2")
    assert notes.result("slow", tests, notes.boots()) == f"{day}, changed since"
    assert notes.result("slow", [*tests, "another"], notes.boots()) == "each run"


@pytest.mark.parametrize(("skip", "good"), [("1", True), ("all", False)])
def test_a_test_without_any_case_that_ran_proves_nothing(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch,
                                                         skip: str, good: bool) -> None:
    monkeypatch.setenv("ALL", "1")
    monkeypatch.setenv("SKIP", skip)
    code, told = run(project)
    assert (code == 0) == good
    assert ("quick: checks/test_x.py::test_quick: there is no QEMU" in told) != good


@pytest.mark.parametrize("words", [("-k", "quick"), ("checks/test_x.py",), ("--collect-only",)])
def test_less_than_a_full_run_is_not_judged(project: pytest.Pytester, words: tuple[str, ...]) -> None:
    assert run(project, *words)[0] == 0


def test_an_element_whose_proof_is_nowhere_is_told() -> None:
    told = list(results.missing({}, {}))
    assert any(line.startswith("busybox: tests/boot/test_busybox.py") and line.endswith("did not run") for line in told)


def test_an_element_that_nothing_proves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "by_element", dict)
    assert "busybox: no test proves it" in list(results.missing({}, {}))


def test_the_notes_name_tests_and_elements_that_there_are() -> None:
    known = {(proof.test, proof.element) for proof in pages.proofs()}
    assert {(test, element) for test, elements in notes.boots().items() for element in elements} <= known
    assert Path(notes.BOOTS).is_file()
