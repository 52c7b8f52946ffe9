"""What reading an element's files finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.element.lint import RULES, elements_below, lint, scripts_for_shellcheck
from pydib.errors import ElementError

GOOD = "#!/bin/bash\nif [ \"${DIB_DEBUG_TRACE:-0}\" -gt 0 ]; then set -x; fi\nset -eu -o pipefail\n"

DEFECTS: list[tuple[str, str, str, int, str, int]] = [
    # rule, file, text, mode, and where it is found
    ("executable", "install.d/10-a", GOOD, 0o644, "install.d/10-a", 0),
    ("shebang", "install.d/10-a", GOOD.replace("/bin/bash", "/usr/bin/env bash"), 0o755, "install.d/10-a", 1),
    ("sete", "install.d/10-a", GOOD.replace("-eu", "-u"), 0o755, "install.d/10-a", 0),
    ("setu", "install.d/10-a", GOOD.replace("-eu", "-e"), 0o755, "install.d/10-a", 0),
    ("setpipefail", "install.d/10-a", GOOD.replace(" -o pipefail", ""), 0o755, "install.d/10-a", 0),
    ("dibdebugtrace", "install.d/10-a", "#!/bin/bash\nset -eu -o pipefail\n", 0o755, "install.d/10-a", 0),
    ("indent", "install.d/10-a", GOOD + "if true; then\n  true\nfi\n", 0o755, "install.d/10-a", 5),
    ("tabindent", "install.d/10-a", GOOD + "\ttrue\n", 0o755, "install.d/10-a", 4),
    ("newline", "install.d/10-a", GOOD + "true", 0o755, "install.d/10-a", 4),
    ("newline", "source-repository-app", "app git /opt/app http://a.test", 0o644, "source-repository-app", 1),
    ("environment", "environment.d/10-a.bash", "set -x\n", 0o644, "environment.d/10-a.bash", 1),
    ("environment", "environment.d/10-a.bash", "export A=1\n", 0o755, "environment.d/10-a.bash", 0),
    ("export", "environment.d/10-a.bash", "export A=$(date)\n", 0o644, "environment.d/10-a.bash", 1),
    ("safe_sudo", "root.d/10-a", GOOD + "sudo rm -rf \\\n    /etc\n", 0o755, "root.d/10-a", 4),
    ("which", "install.d/10-a", GOOD + "if which curl; then true; fi\n", 0o755, "install.d/10-a", 4),
    ("which", "install.d/10-a", GOOD + "curl=$(which curl)\n", 0o755, "install.d/10-a", 4),
    ("sorted", "element-deps", "b\na\n", 0o644, "element-deps", 0),
    ("yaml", "package-installs.yaml", "a: [\n", 0o644, "package-installs.yaml", 2),
    ("pkgmap", "pkg-map", '{"a": }\n', 0o644, "pkg-map", 1),
    ("python", "bin/tool", "#!/usr/bin/env dib-python\nprint 'x'\n", 0o755, "bin/tool", 2),
    ("mddocs", "docs.md", "# x\n", 0o644, "docs.md", 0),
    ("variables", "environment.d/10-a.bash", "export DIB_A=${DIB_A:-1}\n", 0o644, "README.rst", 0),
]

FINE = [
    ("root.d/10-a", GOOD + "sudo rm -rf $TARGET_ROOT/x\nhere=$TARGET_ROOT/y\nbelow=${here}/z\nsudo rm \"$below\"\n"),
    ("root.d/10-a", GOOD + "sudo true # dib-lint: safe_sudo\n"),
    ("install.d/10-a", GOOD + "# a line about which one\nwhich curl # dib-lint: which\necho 'the one which is'\n"),
    ("install.d/10-a", "#!/bin/bash\n# dib-lint: disable=setu sete setpipefail dibdebugtrace\ntrue\n"),
    ("install.d/10-a", GOOD.replace("set -eu -o pipefail", "set -euo pipefail")),
    ("install.d/10-a", "#!/bin/sh\ntrue\n"),
]


@pytest.fixture
def element(tmp_path: Path):
    def make(path: str, text: str, mode: int = 0o755) -> Path:
        file = tmp_path / "app" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        (tmp_path / "app/README.rst").write_text("app\n")
        return tmp_path / "app"

    return make


@pytest.mark.parametrize(("rule", "path", "text", "mode", "found_in", "line"), DEFECTS)
def test_each_defect_is_found_where_it_is(element, rule, path, text, mode, found_in, line):
    folder = element(path, text, mode)
    found = [(one.rule, one.path, one.line) for one in lint(folder)]
    assert found == [(rule, folder / found_in, line)]


@pytest.mark.parametrize(("path", "text"), FINE)
def test_what_is_fine_is_left_alone(element, path, text):
    assert lint(element(path, text)) == []


def test_every_rule_has_its_defect():
    assert {case[0] for case in DEFECTS} | {"readme"} == set(RULES)


def test_an_element_without_a_page_is_told(tmp_path):
    (tmp_path / "app/install.d").mkdir(parents=True)
    assert [one.rule for one in lint(tmp_path / "app")] == ["readme"]


def test_a_project_leaves_rules_out(element):
    folder = element("install.d/10-a", "#!/bin/bash\ntrue\n")
    assert lint(folder, ignored=frozenset({"sete", "setu", "setpipefail", "dibdebugtrace"})) == []


def test_elements_are_found_in_their_folder(tmp_path):
    for name in ("a/install.d", "b/install.d", "_not", ".git"):
        (tmp_path / name).mkdir(parents=True)
    assert [path.name for path in elements_below(tmp_path)] == ["a", "b"]
    assert elements_below(tmp_path / "a") == [tmp_path / "a"]
    with pytest.raises(ElementError, match="is not a folder"):
        elements_below(tmp_path / "nowhere")


def test_what_bash_sources_is_for_shellcheck_too(element):
    element("install.d/10-a", GOOD)
    element("environment.d/10-a.bash", "export A=1\n", 0o644)
    folder = element("bin/tool", "#!/usr/bin/env python3\n")
    assert [path.name for path in scripts_for_shellcheck(folder)] == ["10-a.bash", "10-a"]
