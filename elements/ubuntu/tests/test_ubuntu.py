"""Ubuntu from its cloud image."""

import hashlib
import subprocess

import pytest

ROOT, MIRROR = "root.d/10-cloud-image", "pre-install.d/01-set-ubuntu-mirror"
NAME = "noble-server-cloudimg-amd64.tar.gz"


@pytest.fixture
def cloud_image(tmp_path):
    """A tarball that stands for the cloud image."""
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/hostname").write_text("from the image\n")
    subprocess.run(["tar", "-C", tmp_path / "tree", "-czf", tmp_path / NAME, "."], check=True)
    return tmp_path / NAME


@pytest.fixture
def fetched(fake_root, element, cloud_image, tmp_path):
    """Run the script with a cache-url that copies from tmp_path; its sums say `digest`."""
    fake_root.like("bare")
    under_test = element("ubuntu")
    tool = under_test.hooks / "bin/cache-url"
    tool.write_text(f'#!/bin/bash\necho "cache-url $*"\ncp "{tmp_path}/$(basename "${{@: -2:1}}")" "${{@: -1}}"\n')
    cache = fake_root.base / "cache"
    cache.mkdir(exist_ok=True)

    def run(digest=None, **env):
        digest = digest or hashlib.sha256(cloud_image.read_bytes()).hexdigest()
        (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64} *other\n{digest} *{NAME}\n")
        return under_test.run(ROOT, env={"DIB_RELEASE": "noble", "ARCH": "amd64", "BASE_IMAGE_FILE": NAME,
                                         "DIB_IMAGE_CACHE": str(cache), **env})

    return run


@pytest.mark.parametrize(("folder", "address"), [
    ("", "https://cloud-images.ubuntu.com/noble/current/"), ("http://a.test/x", "http://a.test/x/"),
    ("a.test", "https://a.test/noble/current/"),
])
def test_a_downloaded_image_is_unpacked(fetched, fake_root, folder, address):
    run = fetched(DIB_CLOUD_IMAGES=folder)
    assert run.ok, run.output
    assert f"cache-url {address}{NAME} " in run.output
    assert fake_root.read("/etc/hostname") == "from the image\n"


def test_a_wrong_checksum_is_looked_at_twice_and_ends_the_build(fetched, fake_root):
    run = fetched(digest="1" * 64)
    assert run.exit_code == 1 and "does not have the checksum" in run.output
    assert "cache-url -f " in run.output and not fake_root.exists("/etc/hostname")


def test_an_image_of_ones_own(fake_root, element, cloud_image):
    fake_root.like("bare")
    run = element("ubuntu").run(ROOT, env={"DIB_LOCAL_IMAGE": str(cloud_image)})
    assert run.ok and fake_root.read("/etc/hostname") == "from the image\n"


def test_one_that_is_not_there(fake_root, element):
    run = element("ubuntu").run(ROOT, env={"DIB_LOCAL_IMAGE": "/no/image"})
    assert run.exit_code == 1 and "/no/image, which is not a file" in run.output


def test_other_kinds_of_images_have_their_tools(fake_root, element, commands, tmp_path):
    commands.fake("unsquashfs")
    under_test = element("ubuntu")
    tool = under_test.hooks / "bin/extract-image"
    tool.write_text('#!/bin/bash\necho "extract-image $*"\n')
    tool.chmod(0o755)
    for name in ("a.squashfs", "a.qcow2"):
        (tmp_path / name).write_text("")
    assert under_test.run(ROOT, env={"DIB_LOCAL_IMAGE": str(tmp_path / "a.squashfs")}).called("unsquashfs", "-force")
    run = under_test.run(ROOT, env={"DIB_LOCAL_IMAGE": str(tmp_path / "a.qcow2"), "DIB_RELEASE": "noble"})
    assert f"extract-image a.qcow2 ubuntu-noble-amd64.tar file://{tmp_path}/a.qcow2" in run.output


def test_a_mirror_takes_the_place_of_the_archives(fake_root, element):
    fake_root.like("ubuntu-24.04")
    fake_root.write("/etc/apt/sources.list", "deb http://a.test/ubuntu noble main\ndeb http://p.test/x noble main\n"
                                              "deb http://keep.test/ubuntu noble main\n# a comment\n")
    run = element("ubuntu").run(MIRROR, env={"DIB_DISTRIBUTION_MIRROR": "http://m.test/u",
                                             "DIB_DISTRIBUTION_MIRROR_UBUNTU_IGNORE": "keep[.]test"})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/sources.list") == (
        "deb http://m.test/u noble main\ndeb http://p.test/x noble main\ndeb http://keep.test/ubuntu noble main\n"
        "# a comment\n")
    assert "URIs: http://m.test/u\n" in fake_root.read("/etc/apt/sources.list.d/ubuntu.sources")
    assert not fake_root.exists("/etc/apt/apt.conf.d/95dib-insecure-mirror")


def test_mirrors_without_signature_or_certificate(fake_root, element):
    fake_root.like("ubuntu-24.04")
    env = {"DIB_DISTRIBUTION_MIRROR": "https://m.test", "DIB_DISTRIBUTION_MIRROR_UBUNTU_INSECURE": "1",
           "DIB_DISTRIBUTION_MIRROR_VERIFY_HTTPS": "0"}
    assert element("ubuntu").run(MIRROR, env=env).ok
    assert "AllowUnauthenticated" in fake_root.read("/etc/apt/apt.conf.d/95dib-insecure-mirror")
    assert "Verify-Peer" in fake_root.read("/etc/apt/apt.conf.d/95dib-unverified-mirror")


def test_without_a_mirror_sources_stay(fake_root, element):
    fake_root.like("ubuntu-24.04")
    assert element("ubuntu").run(MIRROR).wrote == ()


@pytest.mark.parametrize(("status", "removed"), [("installed", True), ("", False)])
def test_the_index_of_packages_goes(fake_root, element, commands, status, removed):
    fake_root.like("ubuntu-24.04")
    commands.on("dpkg-query").prints(status)
    assert element("ubuntu").run("pre-install.d/00-remove-apt-xapian-index").called("apt-get", "remove") == removed
