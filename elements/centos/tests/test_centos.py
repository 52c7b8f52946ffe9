"""CentOS Stream from its cloud image."""

import pytest


@pytest.mark.parametrize(("env", "name", "sums"), [
    ({}, "9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2",
     "CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2.SHA256SUM"),
    ({"DIB_RELEASE": "10-stream", "ARCH": "arm64"},
     "10-stream/aarch64/images/CentOS-Stream-GenericCloud-10-latest.aarch64.qcow2", ".qcow2.SHA256SUM"),
    ({"ARCH": "ppc64el", "BASE_IMAGE_FILE": "mine.qcow2"}, "ppc64le", "mine.qcow2.SHA256SUM"),
    ({"ARCH": "s390x"}, "s390x", ".qcow2.SHA256SUM"),
])
def test_the_image_and_its_checksum(fake_root, element, env, name, sums):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    under_test = element("centos")
    tool = under_test.hooks / "bin/cloud-image"
    tool.write_text('#!/bin/bash\necho "$1|$2"\n')
    tool.chmod(0o755)
    run = under_test.run("root.d/10-centos-cloud-image", env={"ARCH": "amd64", **env})
    assert run.ok, run.output
    address, _, checksum = run.output.strip().splitlines()[-1].partition("|")
    assert name in address and checksum.endswith(sums)


def test_a_mirror(fake_root, element):
    fake_root.like("centos-stream-9")
    repo = "/etc/yum.repos.d/centos.repo"
    fake_root.write(repo, "[baseos]\nmetalink=https://m.test/metalink?repo=centos-baseos-$stream&arch=$basearch\n")
    under_test = element("centos")
    assert under_test.run("pre-install.d/01-set-centos-mirror").wrote == ()
    assert under_test.run("pre-install.d/01-set-centos-mirror", env={"DIB_DISTRIBUTION_MIRROR": "http://x.test/c/"}).ok
    assert fake_root.read(repo) == "[baseos]\nbaseurl=http://x.test/c/$releasever-stream/BaseOS/$basearch/os/\n"
