"""Modules of DKMS packages."""

import pytest

SCRIPT = "post-install.d/97-dkms"


@pytest.mark.parametrize("status", [
    "zfs/2.1.11: added\nzfs/2.1.11, 6.1.0-9, x86_64: installed\nnv-470/1.2: added",
    "zfs, 2.1.11: added\nnv-470, 1.2, 6.1.0-9, x86_64: installed",
])
def test_each_module_for_each_kernel_with_headers(fake_root, element, commands, status):
    fake_root.like("debian-12")
    for kernel in ("6.1.0-9", "6.1.0-10"):
        fake_root.mkdir(f"/usr/src/linux-headers-{kernel}")
        fake_root.symlink(f"/lib/modules/{kernel}/build", f"/usr/src/linux-headers-{kernel}")
    fake_root.mkdir("/lib/modules/5.10-no-headers")
    commands.fake("dkms")
    commands.on("dkms", "status").prints(status)
    run = element("dkms").run(SCRIPT, env={"ARCH": "amd64"})
    assert run.ok, run.output
    assert sorted(run.lines[1:]) == [f"dkms install -m {name} -v {version} -k {kernel}"
                                     for name, version in (("nv-470", "1.2"), ("zfs", "2.1.11"))
                                     for kernel in ("6.1.0-10", "6.1.0-9")]
    assert "ARCH" not in run.calls[-1].env


def test_without_dkms_nothing_happens(fake_root, element):
    fake_root.like("debian-12")
    run = element("dkms").run(SCRIPT)
    assert run.ok and "nothing to do" in run.output
