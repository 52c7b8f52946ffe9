"""AlmaLinux from its container image."""

import pytest


@pytest.mark.parametrize(("release", "image"), [("", "almalinux:10"), ("9", "almalinux:9")])
def test_its_containerfile_is_built(fake_root, element, commands, release, image):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": release}
    commands.on("podman", "build").does('while [ "$1" != --iidfile ]; do shift; done; echo 1 >"$2"; cat "$4"')
    commands.on("podman", "export").does("tar -cf - -T /dev/null")
    run = element("almalinux-container").run("root.d/08-containerfile")
    assert run.ok and image in run.output
