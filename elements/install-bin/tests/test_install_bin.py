"""Programs of all elements, in the target."""

import pytest


@pytest.mark.contract("C-144", "C-267")
def test_programs_become_executable_in_usr_local_bin(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("install-bin")
    (under_test.hooks / "bin").mkdir()
    (under_test.hooks / "bin/tool").write_text("#!/bin/bash\necho hello\n")
    (under_test.hooks / "bin/folder").mkdir()
    run = under_test.run("pre-install.d/01-install-bin")
    assert run.ok, run.output
    assert run.wrote == ("/usr/local/bin/tool",)
    assert fake_root.mode("/usr/local/bin/tool") == 0o755
    assert fake_root.owner("/usr/local/bin/tool")[0] == fake_root.owner("/etc/hosts")[0]
    assert "bin/folder is a directory and stays out" in run.output


def test_no_programs_at_all_are_fine(fake_root, element):
    fake_root.like("bare")
    run = element("install-bin").run("pre-install.d/01-install-bin")
    assert run.ok, run.output
    assert run.wrote == ()
