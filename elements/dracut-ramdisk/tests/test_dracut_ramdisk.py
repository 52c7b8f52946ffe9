"""A ramdisk by dracut."""

import pytest

SCRIPT = "post-install.d/99-build-dracut-ramdisk"


@pytest.fixture
def target(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.real("busybox")
    commands.on("dracut").does('cp "$DIB_RAMDISK_TREE/dib-init" /tmp/made-init; echo ramdisk >/tmp/ramdisk')
    under_test = element("dracut-ramdisk")
    for script in ("01-copy-ramdisk-library", "52-deploy-targetcli"):
        assert under_test.run(f"extra-data.d/{script}").ok
    fake_root.write("/boot/vmlinuz-6.1", "kernel")
    fake_root.mkdir("/lib/modules/6.1")
    fake_root.write("/etc/dib_binary_deps", "tar\ngrep\n")
    return under_test


def test_dracut_gets_what_elements_ask_for(target, fake_root):
    run = target.run(SCRIPT, env={"DIB_RAMDISK_MODULES": "zram"})
    assert run.ok, run.output
    assert run.called("dracut", "--kver", "6.1", "/tmp/ramdisk")
    drivers = next(line for line in run.lines if line.startswith("dracut --force"))
    for name in ("virtio_net", "iscsi_target_mod", "zram", "tar grep"):
        assert name in drivers
    assert fake_root.read("/tmp/kernel") == "kernel" and fake_root.read("/tmp/ramdisk") == "ramdisk\n"
    assert "# from init.d/30-network" in fake_root.read("/tmp/made-init")
    assert fake_root.mode("/usr/lib/dracut/modules.d/99dib-ramdisk/module-setup.sh") == 0o755


@pytest.mark.parametrize(("version", "told"), [
    ("6.2", "the modules of kernel 6.2 are not in"), ("6.3", "there is no kernel 6.3"),
])
def test_a_kernel_that_is_not_there(target, fake_root, version, told):
    fake_root.mkdir("/lib/modules/6.3")
    run = target.run(SCRIPT, env={"DIB_KERNEL_VERSION": version})
    assert run.exit_code == 1 and told in run.output


def test_the_module_of_dracut(target, fake_root, commands):
    """Its functions, called as dracut does."""
    commands.fake("inst_hook", "instmods", "inst")
    fake_root.write("/tree/dib-init", "")
    fake_root.write("/tree/lib/udev/rules.d/a.rules", "")
    fake_root.write("/new/usr/bin/cat", "")
    script = target.hooks / "install.d/50-dracut"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/bash\nset -eu\nmoddir=$(dirname "$0")/../dracut-ramdisk initdir=/new\n'
                      "DIB_RAMDISK_TREE=/tree BUSYBOX=$(type -P busybox)\n"
                      '. "$moddir/module-setup.sh"\ncheck || echo "check $?"\ndepends\ninstallkernel\ninstall\n'
                      '. "$moddir/no-root.sh"\necho "$root $rootok"\n')
    script.chmod(0o755)
    run = target.run("install.d/50-dracut")
    assert run.ok, run.output
    assert "check 255" in run.output and "base kernel-modules udev-rules" in run.output and "dib 1" in run.output
    assert run.called("inst", "/tree/lib/udev/rules.d/a.rules", "/lib/udev/rules.d/a.rules")
    assert run.called("inst_hook", "pre-mount", "50") and run.called("instmods", "=drivers/net/ethernet")
    assert fake_root.link("/new/usr/bin/wget") == "busybox" and fake_root.read("/new/usr/bin/cat") == ""
