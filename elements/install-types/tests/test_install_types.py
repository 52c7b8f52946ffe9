"""Which scripts of install.d run, by install type."""

import pytest


@pytest.fixture
def scripts(element):
    under_test = element("install-types")
    folder = under_test.hooks / "install.d"
    for path in ("a-b-source-install/74-x", "a-b-package-install/75-p", "c-source-install/10-c", "e-own-install/9-e"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")

    def links(**env):
        run = under_test.run("extra-data.d/99-enable-install-types", env=env)
        assert run.ok, run.output
        return {entry.name: str(entry.readlink()) for entry in folder.iterdir() if entry.is_symlink()}

    links.folder = folder
    return links


SOURCE = {"74-x": "a-b-source-install/74-x", "10-c": "c-source-install/10-c"}


@pytest.mark.contract("C-265")
def test_source_is_the_default(scripts):
    assert scripts() == SOURCE


def test_the_default_can_be_changed(scripts):
    assert scripts(DIB_DEFAULT_INSTALLTYPE="package") == {"75-p": "a-b-package-install/75-p"}


@pytest.mark.contract("C-265")
def test_each_element_can_differ(scripts):
    assert scripts(DIB_INSTALLTYPE_a_b="package", DIB_INSTALLTYPE_e="own") == {
        "75-p": "a-b-package-install/75-p", "10-c": "c-source-install/10-c", "9-e": "e-own-install/9-e"}


def test_links_are_made_anew(scripts):
    (scripts.folder / "10-c").symlink_to("nowhere")
    assert scripts() == SOURCE


def test_an_empty_directory_gives_nothing(scripts):
    (scripts.folder / "empty-source-install").mkdir()
    assert scripts() == SOURCE


def test_without_install_d_there_is_nothing_to_do(element):
    assert element("install-types").run("extra-data.d/99-enable-install-types").ok
