"""Kernel and ramdisk for U-Boot."""

import subprocess

import pytest

SCRIPT = "cleanup.d/98-uboot"
WRAP = """\
for word; do if [ "$last" = -d ]; then in=$word; fi; last=$word; done
{ echo "wrapped $*" | sed "s,/[^ ]*,,g"; cat "$in"; } >"${@: -1}"
"""


@pytest.fixture
def build(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("mkimage")
    commands.on("mkimage").does(WRAP)
    return lambda **env: element("uboot").run(SCRIPT, env=env)


@pytest.mark.parametrize(("arch", "cpu"), [("armhf", "arm"), ("arm64", "arm64")])
def test_the_pair_of_the_image(build, fake_root, arch, cpu):
    fake_root.write("/boot/vmlinuz-6.1", "kernel")
    fake_root.write("/boot/initrd.img-6.1", "ramdisk")
    run = build(ARCH=arch, UBOOT_KERNEL_EP="0x90000")
    assert run.ok, run.output
    kernel = fake_root.read("/boot/vmlinuz-6.1")
    assert kernel.startswith(f"wrapped -A {cpu} -O linux -T kernel -C none -a 0x80000 -e 0x90000")
    assert kernel.endswith("kernel") and fake_root.read("/boot/initrd.img-6.1").endswith("ramdisk")


def test_a_ramdisks_own(build, fake_root):
    fake_root.write("/tmp/kernel", "kernel")
    fake_root.write("/tmp/ramdisk", "ramdisk")
    assert build(ARCH="arm64").ok
    assert fake_root.read("/tmp/ramdisk").startswith("wrapped -A arm64 -O linux -T ramdisk")


def test_other_machines_have_no_u_boot(build):
    run = build(ARCH="amd64")
    assert run.ok and run.lines == []


def test_the_tool_must_be_there(build, commands):
    commands.missing("mkimage")
    run = build(ARCH="arm64")
    assert run.exit_code == 1 and "apt-get install u-boot-tools" in run.output


@pytest.mark.proves("uboot", how="real run")
@pytest.mark.parametrize(("arch", "told"), [("armhf", "ARM Linux"), ("arm64", "AArch64 Linux")])
def test_mkimage_knows_what_it_made(fake_root, element, commands, arch, told):
    commands.real("mkimage")
    fake_root.like("debian-12")
    fake_root.write("/boot/vmlinuz-6.1", "kernel" * 100)
    fake_root.write("/boot/initrd.img-6.1", "ramdisk" * 100)
    run = element("uboot").run(SCRIPT, env={"ARCH": arch, "UBOOT_KERNEL_ADDR": "0x60008000"})
    assert run.ok, run.output
    for name, kind in (("vmlinuz-6.1", "Kernel Image"), ("initrd.img-6.1", "RAMDisk Image")):
        listed = subprocess.run(["mkimage", "-l", fake_root.path(f"/boot/{name}")], check=True, text=True,
                                capture_output=True).stdout
        assert f"Image Type:   {told} {kind} (uncompressed)" in listed
    assert fake_root.path("/boot/vmlinuz-6.1").read_bytes().endswith(b"kernel" * 100)
    assert fake_root.path("/boot/vmlinuz-6.1").read_bytes()[16:20] == bytes.fromhex("60008000")
