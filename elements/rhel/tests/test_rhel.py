"""RHEL from its guest image."""

import pytest


@pytest.mark.parametrize(("env", "told"), [
    ({}, "name it in DIB_LOCAL_IMAGE"), ({"DIB_CLOUD_IMAGES": "http://m.test"}, "name it in DIB_LOCAL_IMAGE"),
    ({"DIB_LOCAL_IMAGE": "/x.qcow2"}, "cloud-image "),
    ({"DIB_CLOUD_IMAGES": "http://m.test", "BASE_IMAGE_FILE": "r.qcow2"},
     "cloud-image http://m.test/r.qcow2 http://m.test/SHA256SUMS"),
])
def test_the_image_must_be_named(fake_root, element, env, told):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    under_test = element("rhel")
    tool = under_test.hooks / "bin/cloud-image"
    tool.write_text('#!/bin/bash\necho "cloud-image $*"\n')
    tool.chmod(0o755)
    run = under_test.run("root.d/10-rhel-cloud-image", env=env)
    assert told in run.output and run.ok == ("cloud-image" in told)
