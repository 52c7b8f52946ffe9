"""Cloud images of distributions."""

import pytest


@pytest.fixture
def cloud_image(fake_root, element, tmp_path):
    fake_root.like("bare")
    under_test = element("sysprep")
    for name in ("cache-checked-url", "extract-image"):
        tool = under_test.hooks / "bin" / name
        tool.write_text(f'#!/bin/bash\necho "{name} $*"\n')
        tool.chmod(0o755)

    def run(*words, **env):
        env = {"DISTRO_NAME": "centos", "DIB_RELEASE": "9-stream", "ARCH": "amd64", "DIB_IMAGE_CACHE": str(tmp_path),
               **env}
        return under_test.run_with("bin/cloud-image", *(words or ("http://a.test/i/x.qcow2", "http://a.test/i/x.SUM")),
                                   side="host", env=env)

    return run


@pytest.mark.parametrize(("env", "address", "sums"), [
    ({}, "http://a.test/i/x.qcow2", "http://a.test/i/x.SUM"),
    ({"DIB_CLOUD_IMAGES": "http://m.test", "BASE_IMAGE_FILE": "y.qcow2"}, "http://m.test/y.qcow2", "http://m.test/x.SUM"),
])
def test_it_is_fetched_checked_and_unpacked(cloud_image, tmp_path, env, address, sums):
    run = cloud_image(**env)
    name = address.rpartition("/")[2]
    assert run.ok, run.output
    assert f"cache-checked-url {address} {tmp_path}/{name} {sums}\n" in run.output
    assert f"extract-image {name} centos-9-stream-amd64.tar file://{tmp_path}/{name} {tmp_path}/{name}\n" in run.output


def test_one_of_ones_own(cloud_image, tmp_path):
    (tmp_path / "mine.qcow2").write_text("")
    run = cloud_image(DIB_LOCAL_IMAGE=str(tmp_path / "mine.qcow2"))
    assert run.ok and "cache-checked-url" not in run.output and "extract-image mine.qcow2 " in run.output
    assert "centos: DIB_LOCAL_IMAGE names /no, which is not a file" in cloud_image(DIB_LOCAL_IMAGE="/no").output


def test_wrong_calls_are_told(cloud_image):
    assert "usage: cloud-image" in cloud_image("one").output
