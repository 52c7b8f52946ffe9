"""Our own elements as a whole: what holds for every script of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.paths import elements_dir
from pydib.testkit.shell_coverage import scripts_below

HOOKS = sorted(f"{path.parts[-3]}:{path.parts[-2]}/{path.parts[-1]}" for path in scripts_below([elements_dir()])
               if path.parents[2] == elements_dir() and path.parent.suffix == ".d" and "." not in path.name
               and path.parent.name != "environment.d")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_shows_its_steps_when_it_is_asked_to(fake_root, element, commands, hook):
    name, _, script = hook.partition(":")
    commands.fake("unshare", "apt-config", "visudo", "gpg")
    fake_root.like("debian-12")
    run = element(name).run(script, env={"DIB_DEBUG_TRACE": "1", "DIB_BLOCK_DEVICE": "mbr", "IMAGE_FILE": "/nowhere",
                                         "DIB_APT_SOURCES": "", "DIB_APT_CONF": ""})
    assert "\n+ " in "\n" + run.output


@pytest.mark.parametrize("element_folder", sorted(elements_dir().glob("[a-z]*/")), ids=lambda path: path.name)
def test_every_element_has_a_page_and_tests(element_folder: Path):
    assert (element_folder / "README.rst").exists()
    assert list((element_folder / "tests").glob("test_*.py"))
