"""Wrong input: one clear message, the right exit code, and nothing left (every test's builder checks the ground)."""

from __future__ import annotations

import pytest

from tests.machine.conftest import Builder

pytestmark = pytest.mark.machine


def refused(builder: Builder, *arguments: str, code: int = 1, **environment: str) -> str:
    done = builder.run(*arguments, **environment)
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def test_unknown_option(builder: Builder) -> None:
    assert refused(builder, "--frobnicate", "tiny-os").startswith("disk-image-create: option --frobnicate")


def test_no_elements(builder: Builder) -> None:
    assert "at least one distribution root element" in refused(builder, "")


def test_unknown_element_with_a_guess(builder: Builder) -> None:
    text = refused(builder, "tiny-oz")
    assert "'tiny-oz' not found" in text
    assert "did you mean tiny-os?" in text


def test_no_operating_system(builder: Builder) -> None:
    builder.script("extra", "install.d/10-x", "#!/bin/bash\n")
    assert "no operating system" in refused(builder, "extra")


def test_unwritable_output_is_found_before_the_build(builder: Builder) -> None:
    text = refused(builder, "-o", "/nowhere/at/all", "tiny-os")
    assert "the output cannot be written" in text
    assert "Running" not in text


def test_docker_without_a_target(builder: Builder) -> None:
    assert "--docker-target" in refused(builder, "-t", "docker", "tiny-os")


def test_broken_block_device_yaml(builder: Builder) -> None:
    text = refused(builder, "tiny-os", DIB_BLOCK_DEVICE_CONFIG="- mkfs: {type: ext4")
    assert "DIB_BLOCK_DEVICE_CONFIG" in text


def test_an_image_too_small_for_its_tree(builder: Builder) -> None:
    builder.script("big", "install.d/10-big", "#!/bin/bash\nhead -c 80000000 /dev/urandom > /big\n")
    text = refused(builder, "--image-size", "0.05", "tiny-os", "big")
    assert "--image-size" in text


def test_a_full_output_disk(builder: Builder) -> None:
    import subprocess

    place = builder.out / "small"
    place.mkdir()
    builder.script("big", "install.d/10-big", "#!/bin/bash\nhead -c 30000000 /dev/urandom > /big\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    try:
        text = refused(builder, "-o", str(place / "disk"), "tiny-os", "big")
        assert "make room" in text
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", place], check=True)
    place.rmdir()


def test_an_empty_root(builder: Builder) -> None:
    builder.script("hollow", "root.d/10-nothing", "#!/bin/bash\nmkdir $TARGET_ROOT/tmp\n")
    (builder.elements / "hollow/element-provides").write_text("operating-system\n")
    assert "Failed to deploy the root element" in refused(builder, "hollow")


def test_duplicated_hooks(builder: Builder) -> None:
    for name in ("one", "two"):
        builder.script(name, "install.d/10-same", "#!/bin/bash\n")
    assert "elements one and two both have install.d/10-same" in refused(builder, "tiny-os", "one", "two")


def test_a_missing_folder_on_elements_path(builder: Builder) -> None:
    assert "/no/such/folder" in refused(builder, "tiny-os", ELEMENTS_PATH="/no/such/folder")


def test_packages_without_a_package_manager(builder: Builder) -> None:
    text = refused(builder, "-p", "redis", "tiny-os", code=127)
    assert "packages named with -p could not be installed" in text
