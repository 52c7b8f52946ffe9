"""The plugin, in a pytest of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SCRIPT = "#!/bin/bash\nset -eu\necho \"$WORD\" >/etc/word\nsystemctl enable app\n"
TEST = """
def test_it(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("systemctl").prints("enabled")
    run = element("app").run("install.d/10-app", env={"WORD": "hello"})
    assert run.ok, run.output
    assert fake_root.read("/etc/word") == "hello\\n"
    assert run.lines == ["systemctl enable app"]
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    script = pytester.mkdir("elements") / "app/install.d/10-app"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return pytester


def test_an_element_finds_itself_from_its_own_tests(project):
    (project.path / "elements/app/tests").mkdir()
    (project.path / "elements/app/tests/test_app.py").write_text(TEST)
    project.runpytest_inprocess("elements", "--import-mode=importlib").assert_outcomes(passed=1)


def test_elements_elsewhere_are_named_by_an_option(project):
    project.makepyfile(TEST)
    project.runpytest_inprocess("--elements-path", "elements").assert_outcomes(passed=1)


def test_an_unknown_element_fails_with_its_name(project):
    project.makepyfile(TEST)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*element 'app' not found*"])


def test_nothing_is_left_behind_even_where_no_script_ran(pytester, tmp_path):
    pytester.makepyfile("def test_it(fake_root):\n    fake_root.like('bare')\n    print(fake_root.base.parent)\n")
    pytester.makeconftest("import sys\ndef pytest_unconfigure(config):\n"
                          "    sys.modules.pop('pydib.testkit.session', None)  # as pytester does\n")
    done = pytester.runpytest_subprocess("-s", "-q")
    done.assert_outcomes(passed=1)
    session = next(line.strip(".") for line in done.outlines if "pydib-testkit-" in line)
    assert not Path(session).exists()
