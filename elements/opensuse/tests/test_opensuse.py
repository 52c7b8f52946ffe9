"""openSUSE from its cloud image."""

import pytest


@pytest.fixture
def build(fake_root, element):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    under_test = element("opensuse")
    tool = under_test.hooks / "bin/cloud-image"
    tool.write_text('#!/bin/bash\necho "$1 $2"\n')
    tool.chmod(0o755)
    return lambda **env: under_test.run("root.d/10-opensuse-cloud-image", env={"ARCH": "amd64", **env})


@pytest.mark.parametrize(("env", "cpu"), [({}, "x86_64"), ({"ARCH": "arm64"}, "aarch64")])
def test_the_image_and_its_checksum(build, env, cpu):
    name = f"leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.{cpu}-Cloud.qcow2"
    assert build(**env).output.strip().endswith(f"{name}.sha256")


def test_other_machines_have_none(build):
    run = build(ARCH="ppc64el")
    assert run.exit_code == 1 and "no cloud image for ppc64el" in run.output
