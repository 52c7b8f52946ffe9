"""pip and virtualenv."""

import pytest

VENV = 'mkdir -p "$3/bin"; printf "#!/bin/sh\\necho \\"\\$@\\"\\n" >"$3/bin/python3"; chmod 755 "$3/bin/python3"'
SOURCE = "install.d/pip-and-virtualenv-source-install/04-install-pip"


def test_the_newest_in_an_environment_of_its_own(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("python3", "-m", "venv").does(VENV)
    under_test = element("pip-and-virtualenv")
    run = under_test.run(SOURCE)
    assert run.ok and "-m pip install --upgrade pip virtualenv" in run.output
    assert fake_root.link("/usr/local/bin/virtualenv") == "/opt/pip-and-virtualenv/bin/virtualenv"


@pytest.mark.parametrize(("kind", "linked"), [("", False), ("source", True)])
def test_packages_are_the_default(fake_root, element, kind, linked):
    fake_root.like("debian-12")
    under_test = element("pip-and-virtualenv")
    env = {"DIB_INSTALLTYPE_pip_and_virtualenv": kind}
    assert under_test.run("extra-data.d/99-enable-install-types", env=env).ok
    assert (under_test.hooks / "install.d/04-install-pip").exists() == linked


@pytest.mark.parametrize("keep", ["0", "1"])
def test_what_was_fetched(fake_root, element, keep):
    fake_root.like("debian-12")
    fake_root.write("/root/.cache/pip/x", "")
    assert element("pip-and-virtualenv").run("post-install.d/99-cleanup-pip", env={"DIB_DISABLE_PIP_CLEANUP": keep}).ok
    assert fake_root.exists("/root/.cache/pip/x") == (keep == "1")
