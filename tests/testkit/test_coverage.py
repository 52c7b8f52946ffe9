"""Lines of scripts: what can be executed, what was, and the reports."""

from __future__ import annotations

import re

import pytest

from pydib.testkit import shell_coverage
from pydib.testkit.bash_lines import BashLines

pytest_plugins = ["pytester"]

SCRIPT = """#!/bin/bash
set -eu
if [ -e /etc/never ]; then
    echo missed
    echo too
fi
tool one
helper
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    for path, text in {
        "elements/app/element-deps": "", "elements/app/install.d/10-app": SCRIPT,
        "elements/app/bin/helper": "#!/usr/bin/python3\nimport os\nif not os.sep:\n    print('missed')\n",
        "elements/app/pre-install.d/10-not-run": "#!/bin/bash\ntrue\n",
    }.items():
        file = pytester.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    pytester.makepyfile("""
        def test_it(fake_root, element, commands):
            fake_root.like("debian-12")
            commands.fake("tool")
            assert element("app").run("install.d/10-app").ok
    """)
    return pytester


def test_statements_are_those_that_bash_tells(fixtures, fake_root, element, tmp_path):
    text = (fixtures / "shell/every-construct").read_bytes()
    script = tmp_path / "shelf/e/install.d/10-e"
    script.parent.mkdir(parents=True)
    script.write_bytes(text)
    script.chmod(0o755)
    fake_root.like("bare")
    lines = BashLines(text)
    with shell_coverage.recorded() as recorded:
        run = element("e", shelves=[tmp_path / "shelf"]).run("install.d/10-e")
    told = recorded[script]
    assert run.ok, run.output
    never = {number for number, line in enumerate(text.decode().split("\n"), 1)
             if re.search(r"echo (never|zero|many|not reached)|^elif", line) and "while false" not in line}
    assert never and lines.statements - lines.executed(told) == never
    assert {line for line in told if not lines.executed([line])} <= {1, 17, 23, 92, 105}  # functions, traps, after $(


def test_a_statement_over_several_lines_counts_once():
    lines = BashLines(b"a=(\n  1\n)\necho \\\n  b\nx=$(\n  echo c\n)\ncat <<E\n$(echo d)\nE\n")
    assert lines.statements == {1, 4, 6, 9}
    assert lines.executed([3, 4, 8]) == {1, 4, 6}


def test_lines_may_be_left_out():
    assert BashLines(b"a\nb # pragma: no cover\n").excluded == {2}


def test_the_table_names_scripts_and_elements_with_what_is_missing(project):
    result = project.runpytest_inprocess("--elements-path=elements", "--element-cov=elements")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([
        "*app/bin/helper *3 *2 *66.7 *4", "*app/install.d/10-app *6 *4 *66.7 *4-5",
        "*app/pre-install.d/10-not-run *1 *0 *0.0 *2", "*app *10 *6 *60.0", "*all *10 *6 *60.0"])


def test_without_folders_the_scripts_that_ran_count(project):
    result = project.runpytest_inprocess("--elements-path=elements", "--element-cov")
    result.stdout.fnmatch_lines(["*all *9 *6 *66.7"])
    result.stdout.no_fnmatch_line("*10-not-run*")


def test_too_few_lines_fail_the_run(project):
    limits = ["--elements-path=elements", "--element-cov", "--element-cov-fail-under"]
    result = project.runpytest_inprocess(*limits, "80")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*too few lines ran, 80.0 % are wanted: app: 66.7 %, all: 66.7 %"])
    assert project.runpytest_inprocess(*limits, "60").ret == pytest.ExitCode.OK


def test_pages_lcov_and_coverages_own_data_are_written(project):
    project.runpytest_inprocess("--elements-path=elements", "--element-cov=elements", "--element-cov-html=pages",
                                "--element-cov-lcov=lines.lcov", "--element-cov-data=data")
    lcov = (project.path / "lines.lcov").read_text()
    assert "SF:elements/app/install.d/10-app\nDA:2,1\nDA:3,1\nDA:4,0\nDA:5,0\nDA:7,1\nDA:8,1\n" in re.sub(
        r"^SF:.*?elements/", "SF:elements/", lcov, flags=re.MULTILINE)
    assert "10-app" in (project.path / "pages/index.html").read_text()
    assert (project.path / "data").read_bytes().startswith(b"SQLite format 3")


def test_nothing_is_demanded_where_no_script_could_run(project):
    project.makepyfile("def test_nothing(): pass")
    result = project.runpytest_inprocess("--element-cov=elements", "--element-cov-fail-under=90", "-k", "nothing")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*no script of an element ran*"])
