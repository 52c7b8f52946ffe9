"""GRUB on the disk, its settings, its menu."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

CORE_BYTES = 50_000
SECTOR = 512
BASE = {"DIB_BLOCK_DEVICE": "mbr", "DIB_ROOT_LABEL": "cloudimg-rootfs", "DIB_ROOT_FSTYPE": "ext4", "ARCH": "amd64"}


@pytest.fixture
def grub(fake_root, commands, element):
    """The element in a Debian root where GRUB's packages are installed; grub-mkimage writes 50,000 bytes."""
    fake_root.like("debian-12")
    boot = bytearray(b"B" * SECTOR)
    fake_root.write("/usr/lib/grub/i386-pc/boot.img", bytes(boot))
    fake_root.write("/usr/lib/grub/i386-pc/normal.mod", b"module")
    fake_root.write("/usr/lib/grub/i386-pc/moddep.lst", b"list")
    fake_root.write("/usr/lib/grub/i386-pc/kernel.img", b"not needed later")
    commands.fake("grub-editenv")
    commands.fake("grub-mkimage")
    commands.on("grub-mkimage").does(
        'for word; do case "$word" in'
        f' --output=*) head -c {CORE_BYTES} /dev/zero | tr "\\0" C > "${{word#*=}}" ;;'
        ' --config=*) cp "${word#*=}" /boot/config-seen ;; esac; done'
    )
    for name in ("blkid", "blockdev", "partx"):
        commands.real(name)
    return element("bootloader", also=["dpkg"])


def make_disk(path: Path, table: str, mib: int = 16) -> Path:
    """A disk of `mib` MiB with a partition table, described for sfdisk."""
    with path.open("wb") as disk:
        disk.truncate(mib * 1024 * 1024)
    try:
        subprocess.run(["/usr/sbin/sfdisk", "--quiet", "--no-reread", str(path)], input=table, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("sfdisk (package fdisk) is not installed")
    return path


def test_mbr_holds_grub_around_the_partition_table(grub, fake_root):
    disk = make_disk(fake_root.path("/disk"), "label: dos\nlabel-id: 0x12345678\nstart=2048, type=83, bootable\n")
    before = disk.read_bytes()
    run = grub.run_with("bootloader/bios", "/disk", env=BASE, side="target")
    assert run.ok, run.output
    after = disk.read_bytes()
    assert after[440:512] == before[440:512], "the disk's signature and its partitions stay"
    assert after[:0x5C] == b"B" * 0x5C
    assert struct.unpack_from("<Q", after, 0x5C) == (1,), "boot.img loads core.img from sector 1"
    assert after[0x66:0x68] == b"\x90\x90", "a wrong drive number of the BIOS is mended"
    core = bytearray(b"C" * CORE_BYTES)
    struct.pack_into("<Q", core, 500, 2)
    assert after[SECTOR:SECTOR + CORE_BYTES] == core
    assert after[2048 * SECTOR:] == before[2048 * SECTOR:], "no partition was touched"


def test_gpt_holds_grub_in_its_bios_boot_partition(grub, fake_root):
    disk = make_disk(fake_root.path("/disk"), "label: gpt\nsize=2MiB, type=U\nsize=2MiB, "
                     "type=21686148-6449-6E6F-744E-656564454649\ntype=L\n")
    before = disk.read_bytes()
    run = grub.run_with("bootloader/bios", "/disk", env=BASE, side="target")
    assert run.ok, run.output
    after = disk.read_bytes()
    start = 2048 + 4096
    assert struct.unpack_from("<Q", after, 0x5C) == (start,)
    assert struct.unpack_from("<Q", after, start * SECTOR + 500) == (start + 1,)
    assert after[start * SECTOR:start * SECTOR + 500] == b"C" * 500
    assert after[SECTOR:start * SECTOR] == before[SECTOR:start * SECTOR], "both tables and the first partition stay"


@pytest.mark.parametrize(("table", "message"), [
    ("label: dos\nstart=64, type=83\n", "only room for 32256"),
    ("label: gpt\ntype=L\n", "without a BIOS boot partition"),
    ("", "no partition table"),
])
def test_a_disk_without_room_says_what_is_missing(grub, fake_root, table, message):
    disk = make_disk(fake_root.path("/disk"), table or "label: dos\n")
    if not table:
        disk.write_bytes(bytes(SECTOR * 100))
    before = disk.read_bytes()
    run = grub.run_with("bootloader/bios", "/disk", env=BASE, side="target")
    assert run.exit_code == 1
    assert message in run.output
    assert disk.read_bytes() == before


def test_without_a_disk_the_images_are_left_for_the_engine(grub, fake_root):
    run = grub.run("finalise.d/50-bootloader", env=BASE)
    assert "/boot/grub/i386-pc/core.img" in run.wrote, run.output
    assert "/boot/grub/i386-pc/boot.img" in run.wrote
    assert "/boot/grub/i386-pc/normal.mod" in run.wrote
    assert "/boot/grub/i386-pc/kernel.img" not in run.wrote
    assert fake_root.read("/boot/config-seen") == (
        "search.fs_label 'cloudimg-rootfs' root\nset prefix=($root)/boot/grub\n")


def test_grub_starts_from_a_separate_boot_filesystem(grub, fake_root):
    env = BASE | {"DIB_MOUNTPOINTS": "/boot|/", "DIB_BOOT_LABEL": "it's boot"}
    run = grub.run_with("bootloader/bios", env=env, side="target")
    assert run.ok, run.output
    assert fake_root.read("/boot/config-seen") == "search.fs_label 'it'\\''s boot' root\nset prefix=($root)/grub\n"


def test_installed_packages_are_not_installed_again(grub):
    assert not grub.run("finalise.d/50-bootloader", env=BASE).called("install-packages")


def test_missing_packages_are_installed_without_questions(fake_root, commands, element):
    fake_root.like("debian-12")
    run = element("bootloader").run("finalise.d/50-bootloader", env=BASE)
    assert run.called("install-packages", "-m", "bootloader", "grub-pc")
    answers = next(call.stdin for call in run.calls if call.name == "debconf-set-selections")
    assert "grub-pc grub-pc/install_devices_empty boolean true" in answers
    assert run.exit_code == 1
    assert "GRUB for i386-pc is not installed" in run.output


def test_packages_can_be_left_to_others(fake_root, element):
    fake_root.like("debian-12")
    run = element("bootloader").run("finalise.d/50-bootloader", env=BASE | {"DIB_SKIP_GRUB_PACKAGE_INSTALL": "True"})
    assert not run.called("install-packages")


@pytest.mark.parametrize(("env", "packages"), [
    ({"DIB_BLOCK_DEVICE": "mbr", "ARCH": "amd64"}, "grub-pc"),
    ({"DIB_BLOCK_DEVICE": "efi", "ARCH": "amd64"}, "efibootmgr grub-efi-amd64 grub-pc-bin"),
    ({"DIB_BLOCK_DEVICE": "efi", "ARCH": "arm64"}, "efibootmgr grub-efi-arm64"),
    ({"DIB_BLOCK_DEVICE": "mbr", "ARCH": "amd64", "DIB_SKIP_GRUB_PACKAGE_INSTALL": "True"}, ""),
    ({"ARCH": "amd64"}, ""),
])
def test_packages_come_with_the_bootstrap(fake_root, element, env, packages):
    fake_root.like("debian-12")
    bootloader = element("bootloader")
    (bootloader.hooks / "root.d").mkdir(exist_ok=True)
    show = bootloader.hooks / "root.d/00-show"
    show.write_text('#!/bin/bash\necho "packages:${DIB_BOOTSTRAP_PACKAGES:-}"\n')
    show.chmod(0o755)
    run = bootloader.run("root.d/00-show", env=env)
    assert run.output.splitlines()[-1].removeprefix("packages:").strip() == packages


def settings(fake_root) -> dict[str, str]:
    lines = [line for line in fake_root.read("/etc/default/grub").splitlines() if not line.startswith("#")]
    assert len({line.partition("=")[0] for line in lines}) == len(lines), "each setting once"
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_console_is_on_screen_and_serial_line(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/etc/default/grub", '# kept\nGRUB_TIMEOUT=99\n#GRUB_TERMINAL=console\nGRUB_CMDLINE_LINUX="mine"\n')
    run = element("bootloader").run_with("bootloader/defaults", env=BASE, side="target")
    assert run.ok, run.output
    found = settings(fake_root)
    assert found["GRUB_CMDLINE_LINUX_DEFAULT"] == (
        '"console=tty0 console=ttyS0,115200 no_timer_check nofb nomodeset gfxpayload=text"')
    assert found["GRUB_TERMINAL"] == '"serial console"'
    assert found["GRUB_SERIAL_COMMAND"] == '"serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1"'
    assert found["GRUB_DEVICE"] == '"LABEL=cloudimg-rootfs"'
    assert found["GRUB_TIMEOUT"] == '"5"'
    assert found["GRUB_CMDLINE_LINUX"] == '"mine"', "what is not ours stays"
    assert fake_root.read("/etc/default/grub").startswith("# kept\n")


@pytest.mark.parametrize(("env", "command_line", "terminal"), [
    ({"DIB_BOOTLOADER_USE_SERIAL_CONSOLE": "False"}, "console=tty0 no_timer_check x", "console"),
    ({"DIB_BOOTLOADER_VIRTUAL_TERMINAL": ""}, "console=ttyS0,115200 no_timer_check x", "serial console"),
    ({"DIB_BOOTLOADER_SERIAL_CONSOLE": "ttyS1,9600n8"}, "console=tty0 console=ttyS1,9600n8 no_timer_check x",
     "serial console"),
    ({"DIB_BOOTLOADER_SERIAL_CONSOLE": "hvc0"}, "console=tty0 console=hvc0 no_timer_check x", "console"),
    ({"DIB_NO_TIMER_CHECK": "False"}, "console=tty0 console=ttyS0,115200 x", "serial console"),
])
def test_consoles_follow_the_variables(fake_root, element, env, command_line, terminal):
    fake_root.like("debian-12")
    env = BASE | {"DIB_BOOTLOADER_DEFAULT_CMDLINE": "x"} | env
    element("bootloader").run_with("bootloader/defaults", env=env, side="target")
    found = settings(fake_root)
    assert found["GRUB_CMDLINE_LINUX_DEFAULT"] == f'"{command_line}"'
    assert found["GRUB_TERMINAL"] == f'"{terminal}"'
    if "ttyS1" in command_line:
        assert "--speed=9600 --unit=1" in found["GRUB_SERIAL_COMMAND"]


def test_a_setting_is_text_for_the_shell_that_reads_it(fake_root, element):
    fake_root.like("debian-12")
    env = BASE | {"DIB_BOOTLOADER_DEFAULT_CMDLINE": 'a="$(touch /x)" `b` \\'}
    element("bootloader").run_with("bootloader/defaults", env=env, side="target")
    shell = 'set -eu; . "$1"; printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"'
    path = fake_root.path("/etc/default/grub")
    told = subprocess.run(["bash", "-c", shell, "x", str(path)], capture_output=True, text=True, check=True).stdout
    assert told.endswith(' a="$(touch /x)" `b` \\')


def test_menu_is_made_without_asking_for_the_build_hosts_devices(fake_root, commands, element):
    fake_root.like("debian-12")
    fake_root.write("/usr/share/grub/grub-mkconfig_lib", ': "${grub_probe:?}"\nlibrary=real\n')
    commands.on("grub-mkconfig").does(
        '. "$pkgdatadir/grub-mkconfig_lib"; echo "$library"; echo "$2"; '
        '"$grub_probe" --target=device /; "$grub_probe" --device x --target=fs_uuid || echo no uuid')
    run = element("bootloader").run_with("bootloader/menu", env=BASE, side="target")
    assert run.ok, run.output
    assert run.output.splitlines()[-4:] == ["real", "/boot/grub/grub.cfg", "/dev/disk/by-label/root", "no uuid"]
    assert fake_root.tree("/tmp") == []


@pytest.mark.parametrize(("points", "answers"), [
    ("/", ["/boot/vmlinuz", "/usr/share/x", "/boot"]),
    ("/boot|/|/usr", ["/vmlinuz", "/share/x", "/"]),
    ("/boot/efi|/boot-data|none|/", ["/boot/vmlinuz", "/usr/share/x", "/boot"]),
])
def test_menu_names_kernels_by_their_place_in_the_filesystem_they_will_be_in(
        fake_root, commands, element, points, answers):
    fake_root.like("debian-12")
    for path in ("/boot/vmlinuz", "/usr/share/x"):
        fake_root.write(path, "")
    fake_root.write("/usr/share/grub/grub-mkconfig_lib", "library=real\n")
    commands.on("grub-mkconfig").does(
        '. "$pkgdatadir/grub-mkconfig_lib"; for path in /boot/vmlinuz /usr/share/x /boot; do'
        ' "$grub_mkrelpath" "$path"; done')
    run = element("bootloader").run_with("bootloader/menu", env=BASE | {"DIB_MOUNTPOINTS": points}, side="target")
    assert run.ok, run.output
    assert run.output.splitlines()[-3:] == answers


def test_uefi_firmware_finds_grub_on_any_disk(fake_root, commands, element):
    fake_root.like("debian-12")
    fake_root.write("/usr/lib/grub/x86_64-efi/normal.mod", b"module")
    fake_root.mkdir("/boot/efi")
    for name in ("grub-mkimage", "grub-editenv"):
        commands.fake(name)
    commands.on("grub-mkimage").does('for word; do case "$word" in --output=*) : > "${word#*=}" ;; esac; done')
    run = element("bootloader").run_with(
        "bootloader/efi", "amd64", env=BASE | {"EFI_BOOT_DIR": "EFI/debian"}, side="target")
    assert run.ok, run.output
    assert fake_root.exists("/boot/efi/EFI/BOOT/BOOTX64.EFI")
    assert fake_root.exists("/boot/grub/x86_64-efi/normal.mod")
    pointer = fake_root.read("/boot/efi/EFI/debian/grub.cfg")
    assert "search --no-floppy --label --set=root 'cloudimg-rootfs'" in pointer
    assert "configfile $prefix/grub.cfg" in pointer
    assert run.called("grub-mkimage", "--format=x86_64-efi", "part_gpt", "search_label")


def test_signed_programs_are_preferred(fake_root, commands, element):
    fake_root.like("debian-12")
    fake_root.write("/usr/lib/grub/x86_64-efi/normal.mod", b"module")
    fake_root.write("/usr/lib/shim/shimx64.efi.signed", b"shim")
    fake_root.write("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"signed")
    for name in ("grub-mkimage", "grub-editenv"):
        commands.fake(name)
    run = element("bootloader").run_with("bootloader/efi", "amd64", env=BASE | {"DISTRO_NAME": "debian"}, side="target")
    assert run.ok, run.output
    assert fake_root.read_bytes("/boot/efi/EFI/BOOT/BOOTX64.EFI") == b"shim"
    assert fake_root.read_bytes("/boot/efi/EFI/BOOT/grubx64.efi") == b"signed"
    assert fake_root.exists("/boot/efi/EFI/debian/grub.cfg")
    assert not run.called("grub-mkimage")


@pytest.mark.parametrize(("env", "exit_code", "message"), [
    ({"DIB_BLOCK_DEVICE": ""}, 0, "no disk to make bootable"),
    ({"DIB_BLOCK_DEVICE": "floppy"}, 1, "'floppy'"),
    ({"DIB_EXTLINUX": "1"}, 1, "Unset DIB_EXTLINUX"),
    ({"ARCH": "s390x"}, 1, "s390x"),
])
def test_what_cannot_be_done_is_said(fake_root, element, env, exit_code, message):
    fake_root.like("debian-12")
    run = element("bootloader").run("finalise.d/50-bootloader", env=BASE | env)
    assert (run.exit_code, message in run.output) == (exit_code, True), run.output
    assert run.wrote == ()


@pytest.fixture
def disk_file(fake_root, commands):
    """Makes a disk as a file, and GRUB's images in the tree as finalise.d leaves them."""
    def make(name="grub"):
        fake_root.like("debian-12")
        fake_root.write(f"/boot/{name}/i386-pc/boot.img", b"B" * SECTOR)
        fake_root.write(f"/boot/{name}/i386-pc/core.img", b"C" * CORE_BYTES)
        for tool in ("blkid", "blockdev", "partx"):
            commands.real(tool)
        return make_disk(fake_root.path("/image0.raw"), "label: dos\nstart=2048, type=83, bootable\n")
    return make


@pytest.mark.parametrize("name", ["grub", "grub2"])
def test_in_tree_mode_the_disk_s_file_gets_grub_on_the_build_host(fake_root, disk_file, element, name):
    disk = disk_file(name)
    run = element("bootloader").run("image-file.d/50-bootloader", env=BASE | {
        "IMAGE_FILE": str(disk), "TARGET_ROOT": str(fake_root.path("/"))})
    assert run.ok, run.output
    assert struct.unpack_from("<Q", disk.read_bytes(), 0x5C) == (1,)
    assert disk.read_bytes()[SECTOR:SECTOR + 500] == b"C" * 500


def test_a_disk_that_cannot_be_written_leaves_nothing_on_the_build_host(
        fake_root, disk_file, commands, element, tmp_path):
    disk = disk_file()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    commands.on("dd").exits(1).complains("No space left on device")
    run = element("bootloader").run("image-file.d/50-bootloader", env=BASE | {
        "IMAGE_FILE": str(disk), "TARGET_ROOT": str(fake_root.path("/")), "TMPDIR": str(scratch)})
    assert (run.exit_code, "No space left" in run.output) == (1, True), run.output
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("env", "exit_code", "message"), [
    ({"DIB_BLOCK_DEVICE": ""}, 0, ""),
    ({"DIB_BLOCK_DEVICE": "efi", "ARCH": "arm64"}, 0, ""),
    ({}, 1, "no core.img"),
])
def test_in_tree_mode_only_a_bios_has_something_on_the_disk_itself(
        fake_root, element, env, exit_code, message):
    fake_root.like("debian-12")
    disk = make_disk(fake_root.path("/image0.raw"), "label: dos\nstart=2048, type=83, bootable\n")
    before = disk.read_bytes()
    run = element("bootloader").run("image-file.d/50-bootloader", env=BASE | env | {
        "IMAGE_FILE": str(disk), "TARGET_ROOT": str(fake_root.path("/"))})
    assert (run.exit_code, message in run.output) == (exit_code, True), run.output
    assert disk.read_bytes() == before


def test_grubs_packages_find_their_answers_before_they_are_installed(fake_root, commands, element):
    fake_root.like("debian-12")
    root = str(fake_root.directory)
    run = element("bootloader").run_with("mmdebstrap-hooks/essential60-bootloader", root, side="host")
    assert run.ok, run.output
    assert [call.name for call in run.calls] == ["debconf-set-selections"]
    assert "grub2/update_nvram boolean false" in run.calls[0].stdin


@pytest.fixture
def installed(fake_root, commands, element):
    """GRUB for every platform, and programs of GRUB that make what they are asked for."""
    fake_root.like("debian-12").write("/usr/share/grub/grub-mkconfig_lib", "")
    for platform in ("i386-pc", "x86_64-efi", "arm64-efi"):
        fake_root.write(f"/usr/lib/grub/{platform}/normal.mod", b"module")
    fake_root.write("/usr/lib/grub/i386-pc/boot.img", b"B" * SECTOR)
    fake_root.write("/usr/share/grub/unicode.pf2", b"font")
    fake_root.mkdir("/boot/efi")
    commands.fake("grub-editenv", "grub-mkimage")
    commands.on("grub-mkimage").does('for word; do case "$word" in --output=*) : > "${word#*=}" ;; esac; done')
    return element("bootloader", also=["dpkg"])


@pytest.mark.parametrize(("env", "left"), [
    ({"DIB_BLOCK_DEVICE": "efi", "ARCH": "arm64"}, ["/boot/efi/EFI/BOOT/BOOTAA64.EFI"]),
    ({"DIB_BLOCK_DEVICE": "efi"}, ["/boot/efi/EFI/BOOT/BOOTX64.EFI", "/boot/grub/i386-pc/core.img"]),
    ({"DIB_BLOCK_DEVICE": "gpt"}, ["/boot/grub/i386-pc/core.img", "/boot/grub/fonts/unicode.pf2"]),
])
def test_the_whole_of_grub_is_left_for_each_firmware(installed, fake_root, env, left):
    run = installed.run("finalise.d/50-bootloader", env=BASE | {"IMAGE_BLOCK_DEVICE": ""} | env)
    assert run.ok, run.output
    assert all(fake_root.exists(path) for path in [*left, "/etc/default/grub"]), run.wrote
    assert run.called("grub-mkconfig", "-o", "/boot/grub/grub.cfg")
    assert not run.called("install-packages"), "they are there"


def test_grub_s_packages_for_power_are_installed(fake_root, element):
    fake_root.like("debian-12")
    run = element("bootloader").run("finalise.d/50-bootloader", env=BASE | {"ARCH": "ppc64el"})
    assert run.called("install-packages", "-m", "bootloader", "grub-ppc64")


def test_there_is_no_grub_for_uefi_on_every_machine(installed):
    run = installed.run_with("bootloader/efi", "s390x", env=BASE, side="target")
    assert run.exit_code == 1 and "no GRUB for UEFI on s390x" in run.output


def test_a_grub_that_is_not_installed_is_said(fake_root, element):
    fake_root.like("debian-12").mkdir("/boot/efi")
    run = element("bootloader").run_with("bootloader/efi", "amd64", env=BASE, side="target")
    assert run.exit_code == 1 and "DIB_SKIP_GRUB_PACKAGE_INSTALL" in run.output


PREP = {"ARCH": "ppc64el", "IMAGE_BLOCK_DEVICES": ""}


@pytest.fixture
def power(fake_root, commands):
    """A Debian root with GRUB for POWER."""
    fake_root.like("debian-12")
    fake_root.write("/usr/lib/grub/powerpc-ieee1275/normal.mod", b"module")
    commands.fake("grub-editenv")
    commands.fake("grub-mkimage")
    commands.on("grub-mkimage").does(
        'for word; do case "$word" in --output=*) printf ELF > "${word#*=}" ;; esac; done')
    return fake_root


@pytest.mark.parametrize("devices", ["", "[image0]=/dev/loop0 [boot]=/prep [root]=/dev/loop0p2"])
def test_power_gets_a_program_with_a_note_for_its_firmware(power, element, devices):
    power.write("/prep", bytes(10))
    run = element("bootloader").run("finalise.d/50-bootloader", env=BASE | PREP | {"IMAGE_BLOCK_DEVICES": devices})
    assert run.called("grub-mkimage", "--format=powerpc-ieee1275", "--note", "search_label"), run.output
    assert power.read("/boot/grub/powerpc-ieee1275/core.elf") == "ELF"
    assert power.read_bytes("/prep") == (b"ELF" if devices else bytes(3)) + bytes(7)


@pytest.mark.parametrize("table", [
    "label: dos\nstart=2048, size=1MiB, type=41, bootable\ntype=83\n",
    "label: gpt\nstart=2048, size=1MiB, type=9E1A2D38-C612-4316-AA26-8B49521E5A8B\ntype=L\n",
])
def test_in_tree_mode_power_finds_grub_in_the_prep_partition(power, commands, element, table):
    commands.real("partx")
    disk = make_disk(power.path("/image0.raw"), table)
    power.write("/boot/grub/powerpc-ieee1275/core.elf", b"ELF")
    run = element("bootloader").run("image-file.d/50-bootloader", env=BASE | PREP | {
        "IMAGE_FILE": str(disk), "TARGET_ROOT": str(power.path("/"))})
    assert run.ok, run.output
    assert disk.read_bytes()[2048 * SECTOR:][:4] == b"ELF\0"


@pytest.mark.parametrize(("table", "message"), [
    ("label: dos\nstart=2048, type=83\n", "has no PReP partition"),
    ("label: dos\nstart=2048, size=1, type=41\n", "the PReP partition only 512"),
])
def test_in_tree_mode_power_needs_a_prep_partition_of_enough_room(power, commands, element, table, message):
    commands.real("partx")
    disk = make_disk(power.path("/image0.raw"), table)
    before = disk.read_bytes()
    power.write("/boot/grub/powerpc-ieee1275/core.elf", b"E" * 513)
    run = element("bootloader").run("image-file.d/50-bootloader", env=BASE | PREP | {
        "IMAGE_FILE": str(disk), "TARGET_ROOT": str(power.path("/"))})
    assert (run.exit_code, message in run.output) == (1, True), run.output
    assert disk.read_bytes() == before


@pytest.fixture
def from_host(fake_root, commands, element, tmp_path):
    """The script that makes GRUB with the build host's programs; those write one small file. GRUB's directory there is
    in tmp_path."""
    fake_root.like("bare")
    fake_root.write("/boot/vmlinuz-6.1", b"kernel")
    fake_root.write("/boot/initrd.img-6.1", b"initramfs")
    (tmp_path / "i386-pc").mkdir()
    for name in ("boot.img", "normal.mod"):
        (tmp_path / "i386-pc" / name).write_bytes(b"B" * SECTOR)
    commands.fake("grub-editenv", "grub-mkimage")
    commands.on("grub-mkimage").does('for word; do case "$word" in --output=*) echo core >"${word#*=}" ;; esac; done')
    grub = element("bootloader", also=["dpkg"])
    for name in ("bios", "common", "from-host"):
        script = grub.hooks / "bootloader" / name
        script.write_text(script.read_text().replace("/usr/lib/grub/", f"{tmp_path}/"))
    return lambda **env: grub.run("cleanup.d/50-bootloader-from-host",
                                  env={**BASE, "DIB_BOOTLOADER_FROM_HOST": "1", **env})


def test_grub_of_the_build_host_starts_the_images_kernel(from_host, fake_root):
    run = from_host(DIB_BOOTLOADER_DEFAULT_CMDLINE="quiet", DIB_BOOTLOADER_VIRTUAL_TERMINAL="")
    assert run.ok, run.output
    assert fake_root.read("/boot/grub/i386-pc/core.img") == "core\n"
    menu = fake_root.read("/boot/grub/grub.cfg")
    assert ("    linux /boot/vmlinuz-6.1 root=LABEL=cloudimg-rootfs ro console=ttyS0,115200 no_timer_check quiet\n"
            "    initrd /boot/initrd.img-6.1\n") in menu
    assert "terminal_output serial console\n" in menu


def test_grub_of_the_build_host_must_be_asked_for(from_host):
    run = from_host(DIB_BOOTLOADER_FROM_HOST="0")
    assert run.ok and run.lines == []


@pytest.mark.parametrize(("env", "told"), [({"DIB_BLOCK_DEVICE": "efi"}, "for a BIOS only"),
                                            ({"ARCH": "arm64"}, "for a BIOS only")])
def test_what_the_build_host_cannot_make_is_told(from_host, env, told):
    run = from_host(**env)
    assert run.exit_code == 1 and told in run.output


def test_a_build_host_without_grub_is_told_what_to_install(from_host, commands):
    commands.missing("grub-mkimage")
    run = from_host()
    assert run.exit_code == 1 and "apt-get install grub-pc-bin" in run.output


def test_the_finalise_phase_leaves_it_to_the_end(grub):
    run = grub.run("finalise.d/50-bootloader", env={**BASE, "DIB_BOOTLOADER_FROM_HOST": "1"})
    assert run.ok and "at the end" in run.output and not run.called("install-packages")
