"""A CD that starts kernel and ramdisk."""

import pytest

LOADERS, BUILD = "post-install.d/01-iso-boot-loaders", "cleanup.d/100-build-iso"
DEBIAN = ("/usr/lib/shim/shimx64.efi.signed", "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
          "/usr/lib/grub/i386-pc/boot_hybrid.img")


def test_boot_loaders_are_the_images_own(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("grub-mkimage")
    for path in DEBIAN:
        fake_root.write(path, path)
    run = element("iso").run(LOADERS, env={"ARCH": "amd64"})
    assert run.ok, run.output
    assert fake_root.read("/tmp/bootloader_files/grubx64.efi") == DEBIAN[1]
    assert fake_root.read("/tmp/bootloader_files/bootx64.efi") == DEBIAN[0]
    assert fake_root.read("/tmp/bootloader_files/vendor") == "debian\n"
    assert run.called("grub-mkimage", "i386-pc-eltorito", "/tmp/bootloader_files/eltorito.img", "iso9660")


def test_those_of_the_red_hat_family_lie_on_the_efi_partition(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("grub2-mkimage")
    commands.missing("grub-mkimage")
    fake_root.write("/boot/efi/EFI/rocky/shimaa64.efi", "shim")
    fake_root.write("/boot/efi/EFI/rocky/grubaa64.efi", "grub")
    run = element("iso").run(LOADERS, env={"ARCH": "arm64"})
    assert run.ok, run.output
    assert fake_root.read("/tmp/bootloader_files/vendor") == "rocky\n"
    assert not fake_root.exists("/tmp/bootloader_files/boot_hybrid.img")


@pytest.mark.parametrize(("arch", "told"), [
    ("s390x", "no boot loader for CDs on s390x"), ("amd64", "none of these is there: /usr/lib/shim/shimx64.efi.signed"),
])
def test_without_boot_loaders_there_is_no_cd(fake_root, element, arch, told):
    fake_root.like("debian-12")
    run = element("iso").run(LOADERS, env={"ARCH": arch})
    assert run.exit_code == 1 and told in run.output


@pytest.fixture
def build(fake_root, element, commands, tmp_path):
    """The CD's script, with a recorded xorriso that keeps the folder that it should write."""
    fake_root.like("debian-12")
    commands.fake("mformat", "mmd", "mcopy")
    commands.on("xorriso").does(f'for f; do if [ "$last" = -o ]; then echo cd >"$f"; fi; last=$f; done; '
                                f'cp -r "$last" {tmp_path}/cd')
    for name, text in {"bootx64.efi": "shim", "grubx64.efi": "grub", "eltorito.img": "core", "boot_hybrid.img": "mbr",
                       "vendor": "debian\n"}.items():
        fake_root.write(f"/tmp/bootloader_files/{name}", text)
    for end in ("kernel", "initramfs", "vmlinuz", "initrd"):
        (tmp_path / f"image.{end}").write_text(end)

    def run(elements, **env):
        return element("iso").run(BUILD, env={"IMAGE_NAME": str(tmp_path / "image"), "IMAGE_ELEMENT": elements, **env})

    return run


@pytest.mark.parametrize(("elements", "name", "kernel", "arguments"), [
    ("base dracut-ramdisk iso", "image.iso", "kernel", "boot_method=vmedia more"),
    ("base ironic-agent iso", "image.iso", "kernel", "boot_method=vmedia more"),
    ("base baremetal iso", "image-boot.iso", "vmlinuz", "root=LABEL=other words"),
])
def test_a_cd_is_written(build, tmp_path, elements, name, kernel, arguments):
    run = build(elements, DIB_DEPLOY_ISO_KERNEL_CMDLINE_ARGS="more", DIB_BOOT_ISO_KERNEL_CMDLINE_ARGS="words",
                DIB_ROOT_LABEL="other")
    assert run.ok, run.output
    assert (tmp_path / name).read_text() == "cd\n"
    assert (tmp_path / "cd/vmlinuz").read_text() == kernel
    assert f"linux /vmlinuz {arguments}\n" in (tmp_path / "cd/boot/grub/grub.cfg").read_text()
    assert run.called("xorriso", "VMEDIA_BOOT_ISO") and run.called("mcopy", "::/EFI/debian/grub.cfg")


@pytest.mark.parametrize(("elements", "told"), [
    ("base my-ramdisk iso", "there is nothing to start from a CD"), ("base ramdisk", "there is no "),
])
def test_what_is_missing_is_told(build, tmp_path, elements, told):
    (tmp_path / "image.kernel").unlink()
    run = build(elements)
    assert run.exit_code == 1 and told in run.output


def test_without_its_tools(build, commands):
    commands.missing("xorriso")
    assert "apt-get install xorriso mtools" in build("ramdisk").output


def test_without_boot_loaders(build, fake_root):
    fake_root.remove("/tmp/bootloader_files/vendor")
    assert "there are no boot loaders" in build("ramdisk").output
