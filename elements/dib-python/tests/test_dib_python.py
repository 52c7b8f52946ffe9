"""A Python for the build's own tools."""

import pytest


@pytest.mark.parametrize(("distro", "release", "version"), [
    ("debian", "bookworm", "3"), ("debian", "jessie", "2"), ("ubuntu", "noble", "3"), ("ubuntu", "trusty", "2"),
    ("fedora", "22", "2"), ("fedora", "41", "3"), ("centos", "9-stream", "3"), ("opensuse", "42.3", "2"),
])
@pytest.mark.contract("C-271")
def test_the_version_follows_the_distribution(fake_root, element, commands, distro, release, version):
    commands.fake("python2")
    fake_root.like("debian-12")
    run = element("dib-python").run("pre-install.d/01-dib-python", env={"DISTRO_NAME": distro, "DIB_RELEASE": release})
    assert run.ok, run.output
    assert fake_root.link("/usr/local/bin/dib-python") == f"/usr/bin/python{version}"


def test_the_users_version_counts(fake_root, element, commands):
    commands.fake("python2")
    fake_root.like("debian-12")
    assert element("dib-python").run("pre-install.d/01-dib-python", env={"DIB_PYTHON_VERSION": "2"}).ok
    assert fake_root.link("/usr/local/bin/dib-python") == "/usr/bin/python2"


def test_a_missing_python_is_installed(fake_root, element, commands):
    commands.missing("python3")
    commands.on("apt-get", "install", "python3").does(": >/usr/bin/python3; chmod +x /usr/bin/python3")
    fake_root.like("debian-12")
    run = element("dib-python").run("pre-install.d/01-dib-python")
    assert run.ok, run.output
    assert run.lines == ["apt-get update", "apt-get install -y --no-install-recommends python3"]
    assert fake_root.link("/usr/local/bin/dib-python") == "/usr/bin/python3"


def test_an_image_without_python_still_builds(fake_root, element, commands):
    commands.missing("python3")
    fake_root.like("bare")
    run = element("dib-python").run("pre-install.d/01-dib-python")
    assert run.ok
    assert "scripts that need it will fail" in run.output


@pytest.mark.contract("C-271")
def test_the_link_is_gone_in_the_end(fake_root, element):
    fake_root.like("debian-12").symlink("/usr/local/bin/dib-python", "/usr/bin/python3")
    assert element("dib-python").run("cleanup.d/50-dib-python").ok
    assert not fake_root.exists("/usr/local/bin/dib-python")


@pytest.mark.parametrize(("root", "missing", "line"), [
    ("fedora-41", [], "dnf install -y python3"), ("fedora-41", ["dnf"], "yum install -y python3"),
    ("opensuse-leap-15.6", [], "zypper --non-interactive install python3"),
])
def test_each_distribution_installs_it_in_its_own_way(fake_root, element, commands, root, missing, line):
    commands.missing("python3", *missing)
    fake_root.like(root)
    run = element("dib-python").run("pre-install.d/01-dib-python")
    assert run.ok and run.lines == [line]
