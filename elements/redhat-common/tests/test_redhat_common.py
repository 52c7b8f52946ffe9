"""What Fedora and its kin have in common."""

import pytest

SCRIPT = "finalise.d/01-clean-old-kernels"


@pytest.mark.parametrize(("installed", "env", "removed"), [
    ("kernel-6.1\nkernel-core-6.1", {}, True), ("", {}, False),
    ("kernel-6.1", {"DIB_DISABLE_KERNEL_CLEANUP": "1"}, False),
])
def test_old_kernels(fake_root, element, commands, installed, env, removed):
    fake_root.like("fedora-41")
    commands.on("dnf", "repoquery").prints(installed)
    run = element("redhat-common").run(SCRIPT, env=env)
    assert run.ok, run.output
    assert run.called("dnf", "-y", "remove", "kernel-6.1", "kernel-core-6.1") == removed
    assert run.called("dnf", "remove") == removed
