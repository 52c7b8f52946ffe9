"""The smallest system."""

import gzip
import subprocess

import pytest

TREE, KERNEL = "root.d/10-busybox", "root.d/20-busybox-kernel"


@pytest.fixture
def small(fake_root, element, commands):
    fake_root.mkdir("/")
    commands.real("busybox")
    return element("busybox")


def test_busybox_and_bash_are_a_system(small, fake_root):
    run = small.run(TREE, env={"ARCH": "amd64"})
    assert run.ok, run.output
    assert fake_root.link("/usr/sbin/udhcpc") == "/usr/bin/busybox"
    assert fake_root.read("/etc/inittab").endswith("\nttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n")
    assert fake_root.read("/etc/shadow").startswith("root:*:") and fake_root.mode("/etc/shadow") == 0o640
    assert fake_root.mode("/usr/bin/bash") == 0o755 and fake_root.mode("/usr/share/udhcpc/default.script") == 0o755


def test_a_password_is_set_and_not_told(small, fake_root):
    run = small.run(TREE, env={"DIB_BUSYBOX_PASSWORD": "a secret", "DIB_DEBUG_TRACE": "1",
                               "DIB_BOOTLOADER_SERIAL_CONSOLE": "ttyS1,9600"})
    assert run.ok, run.output
    assert fake_root.read("/etc/shadow").startswith("root:$6$") and "a secret" not in run.output
    assert "ttyS1::respawn:" in fake_root.read("/etc/inittab")


def test_on_arm_the_serial_line_has_another_name(small, fake_root):
    assert small.run(TREE, env={"ARCH": "arm64"}).ok
    assert "ttyAMA0::respawn:" in fake_root.read("/etc/inittab")


def test_busybox_must_be_there_and_need_no_libraries(fake_root, element, commands):
    commands.missing("busybox")
    run = element("busybox").run(TREE)
    assert run.exit_code == 1 and "is not installed on this machine; apt-get install busybox-static" in run.output


def test_one_that_needs_libraries_is_refused(small, commands):
    commands.on("ldd").prints("libc.so.6")
    run = small.run(TREE)
    assert run.exit_code == 1 and "needs libraries" in run.output


@pytest.mark.parametrize("env", [{}, {"DIB_BUSYBOX_KERNEL": "9.9"}])
def test_a_machine_without_a_kernel(small, env):
    """What host scripts see of this machine has no /boot."""
    run = small.run(KERNEL, env={"ARCH": "amd64", **env})
    assert run.exit_code == 1 and "apt-get install linux-image-amd64" in run.output


@pytest.fixture
def kernel(small, fake_root, commands, tmp_path):
    """The kernel script with a machine of its own in tmp_path: three modules, one of them compressed."""
    version = "6.1.0-9"
    modules = tmp_path / "lib/modules" / version
    (modules / "kernel").mkdir(parents=True)
    for name in ("modules.dep", "modules.builtin", "modules.order", "kernel/virtio.ko", "kernel/virtio_blk.ko"):
        (modules / name).write_text(name)
    subprocess.run(["xz", "-k", modules / "kernel/virtio.ko"], check=True)
    subprocess.run(["zstd", "-q", modules / "kernel/virtio.ko"], check=True)
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/vmlinuz-{version}").write_text("kernel")
    fake_root.write("/usr/bin/busybox", "busybox", mode=0o755)
    script = small.hooks / KERNEL
    exchanged = {" /boot/": f" {tmp_path}/boot/", '"/boot/': f'"{tmp_path}/boot/', " /lib/modules/":
                 f" {tmp_path}/lib/modules/", "$TARGET_ROOT/lib/modules/$version/": "$TARGET_ROOT/boot/"}
    text = script.read_text()
    for here, there in exchanged.items():
        text = text.replace(here, there)
    script.write_text(text)
    needs = "".join(f"insmod {modules}/kernel/{name}\\n" for name in ("virtio.ko.xz", "virtio.ko.zst", "virtio_blk.ko"))
    commands.on("modprobe", "virtio_blk").does(f"printf '{needs}'")
    commands.on("modprobe", "overlay").prints("builtin overlay")
    return lambda **env: small.run(KERNEL, env={"ARCH": "amd64", **env})


@pytest.mark.parametrize("env", [{}, {"DIB_BUSYBOX_KERNEL": "6.1.0-9", "DIB_BUSYBOX_MODULES": "zram"}])
def test_the_hosts_kernel_with_its_modules(kernel, fake_root, env):
    run = kernel(**env)
    assert run.ok, run.output
    assert fake_root.read("/boot/vmlinuz-6.1.0-9") == "kernel"
    assert run.called("depmod", "6.1.0-9") and "with 3 modules, 3 of them in the initramfs" in run.output
    assert run.called("modprobe", "zram") == bool(env)
    names = subprocess.run(["cpio", "--quiet", "--list"], capture_output=True, check=True,
                           input=gzip.decompress(fake_root.read_bytes("/boot/initrd.img-6.1.0-9"))).stdout.decode()
    assert {"init", "bin/busybox", "modules"} <= set(names.split()) and "virtio.ko\n" in names and ".xz" not in names


def test_install_as_elements_call_it(small, fake_root):
    fake_root.like("bare")
    fake_root.write("/a", "text")
    script = small.hooks / "install.d/50-try"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/bash\nset -eu\ni=$(dirname "$0")/../busybox/install\n"$i" -d -m 0700 /dir\n'
                      '"$i" -m 0640 -o root -g root -t /dir /a\n"$i" -D -m 0755 /dev/stdin /new/b <<<piped\n'
                      '"$i" /a /dir\n"$i" /a /c\n')
    script.chmod(0o755)
    run = small.run("install.d/50-try")
    assert run.ok, run.output
    assert fake_root.read("/new/b") == "piped\n" and fake_root.mode("/new/b") == 0o755
    assert (fake_root.mode("/dir"), fake_root.mode("/dir/a"), fake_root.read("/c")) == (0o700, 0o755, "text")


@pytest.mark.parametrize(("words", "code"), [(["-u"], 0), (["-e", "x"], 0), (["curl"], 1)])
def test_there_are_no_packages(small, fake_root, words, code):
    fake_root.like("bare")
    run = small.run_with("bin/install-packages", *words, side="target")
    assert run.exit_code == code and ("debian-minimal" in run.output) == bool(code)


def test_the_fingerprint_names_what_the_host_gives(small):
    told = small.run_with("fingerprint", side="host")
    assert told.ok and any("/bash " in line for line in told.output.splitlines())
