"""Kernel and initramfs, beside the image."""

import pytest

SCRIPT = "cleanup.d/99-extract-kernel-and-ramdisk"


@pytest.fixture
def build(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    for version in ("6.1.0-9-amd64", "6.1.0-10-amd64"):
        fake_root.write(f"/boot/vmlinuz-{version}", f"kernel {version}", mode=0o600)
        fake_root.write(f"/boot/initrd.img-{version}", f"ramdisk {version}", mode=0o600)

    def run(**env):
        return element("baremetal").run(SCRIPT, env={"IMAGE_NAME": str(tmp_path / "image"), **env})

    return run


def test_the_newest_pair_is_written(build, fake_root, tmp_path):
    fake_root.write("/dib-signed-kernel-version", "")
    run = build()
    assert run.ok, run.output
    assert (tmp_path / "image.vmlinuz").read_text() == "kernel 6.1.0-10-amd64"
    assert (tmp_path / "image.initrd").read_text() == "ramdisk 6.1.0-10-amd64"
    assert (tmp_path / "image.vmlinuz").stat().st_mode & 0o777 == 0o644
    assert not fake_root.exists("/dib-signed-kernel-version")


def test_patterns_choose_another(build, tmp_path):
    assert build(DIB_BAREMETAL_KERNEL_PATTERN="vmlinuz*-9-*", DIB_BAREMETAL_INITRD_PATTERN="initrd*-9-*").ok
    assert (tmp_path / "image.vmlinuz").read_text() == "kernel 6.1.0-9-amd64"


def test_half_a_choice_is_none(build):
    run = build(DIB_BAREMETAL_KERNEL_PATTERN="vmlinuz*-9-*")
    assert run.exit_code == 1 and "set both" in run.output


def test_an_image_without_a_kernel_ends_the_build(build, fake_root):
    for version in ("6.1.0-9-amd64", "6.1.0-10-amd64"):
        fake_root.remove(f"/boot/vmlinuz-{version}")
    run = build()
    assert run.exit_code == 1 and "No suitable kernel" in run.output
