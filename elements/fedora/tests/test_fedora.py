"""Fedora from its cloud image."""

import pytest


@pytest.fixture
def build(fake_root, element, tmp_path):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    under_test = element("fedora")
    for name, text in {"cache-url": 'cp "$LIST" "$2"', "cloud-image": 'echo "cloud-image $*"'}.items():
        tool = under_test.hooks / "bin" / name
        tool.write_text(f"#!/bin/bash\n{text}\n")
        tool.chmod(0o755)
    (tmp_path / "list").write_text('<a href="Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2">\n'
                                   '<a href="Fedora-Cloud-Base-Generic-43-1.10.x86_64.qcow2">\n')
    return lambda **env: under_test.run("root.d/10-fedora-cloud-image", env={
        "ARCH": "amd64", "LIST": str(tmp_path / "list"), "DIB_IMAGE_CACHE": str(tmp_path), **env})


def test_the_newest_of_the_folder(build):
    run = build(DIB_CLOUD_IMAGES="http://m.test")
    assert run.ok, run.output
    assert ("cloud-image http://m.test/Fedora-Cloud-Base-Generic-43-1.10.x86_64.qcow2 "
            "http://m.test/Fedora-Cloud-43-1.10-x86_64-CHECKSUM") in run.output


def test_a_file_of_ones_own(build):
    assert "cloud-image " in build(DIB_LOCAL_IMAGE="/some.qcow2").output


@pytest.mark.parametrize(("env", "told"), [({"ARCH": "arm64"}, "no cloud image of Fedora 43 for aarch64"),
                                            ({"ARCH": "s390x"}, "no cloud image for s390x")])
def test_what_there_is_not(build, env, told):
    run = build(**env)
    assert run.exit_code == 1 and told in run.output


def test_a_mirror(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write("/etc/yum.repos.d/fedora.repo", "[f]\n#baseurl=http://d.test/pub/fedora/linux/releases/$releasever/x/\n"
                                                     "metalink=https://m.test\n")
    under_test = element("fedora")
    assert under_test.run("pre-install.d/01-set-fedora-mirror").wrote == ()
    assert under_test.run("pre-install.d/01-set-fedora-mirror", env={"DIB_DISTRIBUTION_MIRROR": "http://x.test/"}).ok
    assert fake_root.read("/etc/yum.repos.d/fedora.repo") == "[f]\nbaseurl=http://x.test/releases/$releasever/x/\n"
