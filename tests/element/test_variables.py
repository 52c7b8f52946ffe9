"""What an element's page says of its variables, and what its files name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pydib import paths
from pydib.element.shelf import Element, find_elements
from pydib.element.unread import unread
from pydib.element.variables import GENERAL, Variable, documented, named_in, page_of
from pydib.testkit.hooks import with_dependencies
from pydib.trove.variables import VARIABLES

OURS = """\
===
app
===

Text about DIB_OTHER.

Variables
---------

DIB_APP_NAME
    Its name. Default: ``app.conf``. May be a path.
``DIB_APP_KEY``
  Who may enter. Required.
DIB_APP_A, DIB_APP_B
    Two
    lines.

    Second paragraph.
http_proxy
    As curl reads it.

A paragraph.

What it leaves
--------------

DIB_NOT_ME
    No variable.
"""
DIBS = """\
Environment Variables
~~~~~~~~~~~~~~~~~~~~~

DIB_APP_NAME
  :Required: Yes
  :Default: None
  :Description: What it is
                called.
  :Example: ``DIB_APP_NAME=x``

DIB_APP_SHELL
  :Required: No
  :Default: ``sh``
"""


def test_our_form():
    assert documented(OURS) == (
        Variable(name="DIB_APP_NAME", meaning="Its name. May be a path.", default="app.conf"),
        Variable(name="DIB_APP_KEY", meaning="Who may enter.", required=True),
        Variable(name="DIB_APP_A", meaning="Two lines. Second paragraph."),
        Variable(name="DIB_APP_B", meaning="Two lines. Second paragraph."),
        Variable(name="http_proxy", meaning="As curl reads it."))


def test_dibs_form():
    assert documented(DIBS) == (Variable(name="DIB_APP_NAME", meaning="What it is called.", required=True),
                                Variable(name="DIB_APP_SHELL", meaning="", default="sh"))


@pytest.mark.parametrize("page", ["", "===\napp\n===\n\nText.\n", "Variables\n---------\n\nNone.\n"])
def test_pages_without_variables(page):
    assert documented(page) == ()


@pytest.fixture
def shelf(tmp_path: Path) -> dict[str, Element]:
    files = {
        "app/environment.d/10-app": "export DIB_APP_NAME=${DIB_APP_NAME:-app}\n",
        "app/README.rst": "DIB_APP_ONLY_TOLD\n",
        "app/tests/test_app.py": "DIB_APP_TESTED",
        "app/static/etc/app/conf": "# what the DIB_APP_ variables say\n$DIB_APP_DEEP",
        "sources/extra-data.d/98-s": 'ref=DIB_REPOREF_$name\necho "${!ref:-}"\n',
        "other/package-installs.yaml": "x:\n  when: DIB_OTHER = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return {name: Element(name, tmp_path / name) for name in ("app", "sources", "other")}


def test_names_come_from_what_is_used_in_a_build(shelf):
    named = named_in(shelf["app"].path)
    assert named.names == {"DIB_APP_NAME", "DIB_APP_DEEP"} and named.defaults == {"DIB_APP_NAME"}
    assert "DIB_REPOREF_app" in named_in(shelf["sources"].path)


def test_a_file_that_is_no_text_and_a_dead_link_are_passed_over(shelf):
    (shelf["app"].path / "image.bin").write_bytes(b"\xff\xfeDIB_BINARY\x00")
    (shelf["app"].path / "gone").symlink_to("/nowhere")
    assert "DIB_APP_NAME" in named_in(shelf["app"].path)


@pytest.mark.parametrize(("variable", "told"), [
    ("DIB_APP_NAM", "; did you mean DIB_APP_NAME?"), ("DIB_RELAESE", "; did you mean DIB_RELEASE?"),
    ("DIB_OTHER", "; other would"), ("DIB_REPOREFS_app", ""), ("DIB_NOTHING_LIKE_IT", ""),
])
def test_what_nobody_reads_is_told(shelf, variable, told):
    environment = {variable: "secret", "DIB_APP_NAME": "x", "HOME": "/"}
    chosen = [shelf["app"], shelf["sources"]]
    assert unread(environment, chosen, shelf.values()) == (
        f"{variable} is set, but no element of this image reads it{told}",)


@pytest.mark.parametrize("environment", [
    {"DIB_APP_DEEP": "1"}, {"DIB_REPOREF_nova": "main"}, {"DIB_OFFLINE": "1"}, {"DIB_WRONG": ""}, {"OTHER": "1"}])
def test_no_noise(shelf, environment):
    assert unread(environment, shelf.values(), shelf.values()) == ()


def test_what_the_engine_names_is_general():
    engine = named_in(paths.lib_dir().parent).names | named_in(paths.phases_dir()).names
    examples = {name for name in engine if re.match(r"DIB_(X|DEV_USER_\w+|DEBIAN_\w+|REPOREF_\w+)$", name)}
    recipes = {variable.name for variable in VARIABLES}  # of Trove's images: options that set what elements read
    assert engine - examples - recipes - GENERAL == set()


@pytest.mark.parametrize("folder", sorted(paths.elements_dir().glob("[a-z]*/")), ids=lambda path: path.name)
def test_pages_of_our_elements_name_what_there_is(folder: Path):
    told = [each.name for each in documented(page_of(folder)) if each.name.startswith("DIB_") and each.name.isupper()]
    with_needs = with_dependencies([folder.name], find_elements([folder.parent]))
    named = GENERAL.union(*(named_in(element.path).names for element in with_needs))
    stale = [name for name in told if name not in named]
    assert stale == []
