"""HPE's tools; the download is a file of this machine."""

import pytest

SCRIPT = "install.d/65-proliant-tools"


@pytest.fixture
def target(fake_root, element, commands):
    fake_root.like("debian-12")
    fake_root.write("/opt/ironic-python-agent/bin/pip", '#!/bin/sh\necho "pip $*"\n', mode=0o755)
    commands.on("curl").does('for f; do if [ "$last" = --output ]; then echo package >"$f"; fi; last=$f; done')
    commands.fake("rpm", "python3")
    return element("proliant-tools")


@pytest.mark.proves("proliant-tools", how="stand-in")
@pytest.mark.parametrize(("tool", "words"), [("alien", ("--install",)), ("rpm", ("--install",))])
def test_they_are_installed(target, commands, fake_root, tool, words):
    commands.missing("alien") if tool == "rpm" else commands.fake("alien")
    run = target.run(SCRIPT, env={"DIB_SSACLI_URL": "http://127.0.0.1/ssacli.rpm"})
    assert run.ok, run.output
    assert run.called("curl", "http://127.0.0.1/ssacli.rpm") and run.called(tool, *words, "/tmp/ssacli.rpm")
    assert "pip install proliantutils" in run.output and not fake_root.exists("/tmp/ssacli.rpm")


def test_the_old_name_counts(target, commands):
    commands.fake("alien")
    run = target.run(SCRIPT, env={"DIB_HPSSACLI_URL": "http://127.0.0.1/old.rpm"})
    assert run.ok and run.called("curl", "http://127.0.0.1/old.rpm") and "the old name of DIB_SSACLI_URL" in run.output


def test_the_address_is_asked_for(target):
    run = target.run(SCRIPT)
    assert run.exit_code == 1 and "set DIB_SSACLI_URL" in run.output


def test_without_an_agent_there_is_a_place_for_the_package(target, fake_root, commands):
    fake_root.remove("/opt/ironic-python-agent/bin/pip")
    commands.fake("alien")
    commands.on("python3", "venv").does("mkdir -p $3/bin; printf '#!/bin/sh\\n' >$3/bin/pip; chmod +x $3/bin/pip")
    run = target.run(SCRIPT, env={"DIB_SSACLI_URL": "http://127.0.0.1/ssacli.rpm"})
    assert run.ok and run.called("python3", "-m", "venv", "/opt/ironic-python-agent"), run.output
