"""A ramdisk of busybox."""

import gzip
import subprocess

import pytest

SCRIPT = "post-install.d/99-build-ramdisk"


MODULES = """\
kernel/drivers/net/ethernet/x.ko.xz: kernel/net/helper.ko
kernel/net/helper.ko:
kernel/drivers/net/virtio_net.ko:
kernel/drivers/zram/some-thing.ko:
kernel/drivers/infiniband/ib.ko: kernel/net/helper.ko
kernel/sound/y.ko:
"""


@pytest.fixture
def target(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.real("busybox")
    commands.fake("udevadm", "systemd-udevd", "syslogd", "udhcpc")
    commands.on("modinfo").prints("x/one.bin\nx/two.bin\nx/not-there.bin")
    under_test = element("ramdisk")
    assert under_test.run("extra-data.d/01-copy-ramdisk-library").ok
    fake_root.write("/boot/vmlinuz-6.1", "kernel")
    fake_root.write("/lib/modules/6.1/modules.dep", MODULES)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        fake_root.write(f"/lib/modules/6.1/{name}", "")
    for line in MODULES.splitlines():
        fake_root.write("/lib/modules/6.1/" + line.partition(":")[0], "module")
    for name in ("one.bin", "two.bin.xz", "unwanted.bin"):
        fake_root.write(f"/lib/firmware/x/{name}", "firmware")
    fake_root.write("/usr/bin/udevadm", "#!/bin/sh\n", mode=0o755)
    fake_root.write("/etc/dib_binary_deps", "tar\n")
    return under_test


def test_it_has_what_elements_asked_for(target, fake_root):
    install = target.hooks / "ramdisk-install.d/50-more"
    install.write_text('#!/bin/bash\necho more >"$TMP_MOUNT_PATH/more"\n')
    install.chmod(0o755)
    (target.hooks / "dracut-drivers.d").mkdir()
    (target.hooks / "dracut-drivers.d/mine").write_text("some_thing\n")
    run = target.run(SCRIPT, env={"DIB_RAMDISK_MODULES": "ib"})
    assert run.ok, run.output
    assert fake_root.read("/tmp/kernel") == "kernel"
    archive = gzip.decompress(fake_root.read_bytes("/tmp/ramdisk"))
    there = set(cpio(archive, "--list").split())
    assert {"init", "init-func", "more", "udhcpc-script", "bin/busybox", "bin/tar"} <= there
    assert {name[len("lib/modules/6.1/kernel/"):] for name in there if ".ko" in name} == {
        "drivers/net/ethernet/x.ko.xz", "net/helper.ko", "drivers/net/virtio_net.ko", "drivers/zram/some-thing.ko",
        "drivers/infiniband/ib.ko"}
    assert {name for name in there if ".bin" in name} == {"lib/firmware/x/one.bin", "lib/firmware/x/two.bin.xz"}
    assert "lib/udev/rules.d/60-persistent-storage-dib.rules" in there
    init = cpio(archive, "-i", "--to-stdout", "init")
    pieces = [line for line in init.splitlines() if line.startswith("# from init.d/")]
    assert pieces == ["# from init.d/10-start", "# from init.d/20-init-variables", "# from init.d/30-network",
                      "# from init.d/40-boot-server"]
    assert subprocess.run(["bash", "-n"], input=init.encode(), check=False).returncode == 0


def cpio(archive, *arguments):
    done = subprocess.run(["cpio", "--quiet", *arguments], input=archive, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize(("version", "told"), [
    ("6.2", "the modules of kernel 6.2 are not in"), ("6.3", "there is no kernel 6.3"),
])
def test_a_kernel_that_is_not_there(target, fake_root, version, told):
    fake_root.write("/lib/modules/6.3/x", "")
    run = target.run(SCRIPT, env={"DIB_KERNEL_VERSION": version})
    assert run.exit_code == 1 and told in run.output


@pytest.fixture
def piece(target, fake_root, commands):
    commands.fake("sleep", "mount")
    script = target.hooks / "install.d/50-piece"
    script.parent.mkdir(exist_ok=True)

    def run(name, before=""):
        fake_root.write("/fake/net/eth0/address", "52:54:00:aa:bb:cc\n")
        fake_root.write("/fake/net/ens4/address", "52:54:00:aa:bb:dd\n")
        script.write_text('#!/bin/bash\nhere=$(dirname "$0")/..\nNET_DEVICES=/fake/net\n'
                          f'. "$here/ramdisk-init/init-func"\n{before}\n. "$here/init.d/{name}"\n')
        script.chmod(0o755)
        return target.run("install.d/50-piece")

    return run


def test_devices_are_made_ready(piece, fake_root):
    fake_root.remove("/usr/bin/udevadm")
    run = piece("10-start")
    assert run.called("mount", "-t", "devtmpfs") and run.called("udevadm", "settle")
