"""Where a Debian image's packages come from."""

from __future__ import annotations

import pytest

LISTED = """\
Packages|Ubuntu|Ubuntu|http://ubuntu.test/ubuntu/
Packages|Debian Backports|Debian Backports|http://backports.test/debian/
Packages|Debian|Debian|file:///srv/mirror/
Packages|Debian|Debian|http://user:secret@mirror.test/debian/
Packages|Debian|Debian-Security|http://mirror.test/debian-security/
Packages|Debian|Debian|http://mirror.test/debian/
Packages|Vendor|Debian|http://vendor.test/debian/"""
CONFIGURED = """\
'http://vendor.test/apt/dists/nodistro/InRelease' vendor.test_apt_InRelease 0
'http://mirror.test/debian/dists/bookworm/InRelease' mirror.test_debian_InRelease 0
'http://mirror.test/debian-security/dists/bookworm-security/InRelease' mirror.test_security_InRelease 0"""


@pytest.fixture
def minimal(fake_root, commands, element):
    fake_root.env |= {"DISTRO_NAME": "debian", "DIB_RELEASE": ""}
    commands.fake("apt-get")
    commands.fake("apt-config")
    return element("debian-minimal")


def sources(minimal, **env: str) -> list[str]:
    run = minimal.run_with("show-sources", side="host", env=env)
    assert run.ok, run.output
    return [line for line in run.output.splitlines() if ":deb " in line]


@pytest.fixture(autouse=True)
def show_sources(minimal):
    """Hooks see environment.d, other programs do not: this one prints the sources from within."""
    show = minimal.hooks / "show-sources"
    show.write_text(
        '#!/bin/bash\nset -eu\nhere=$(dirname "$0")\n'
        'for file in "$here"/environment.d/*; do . "$file"; done\nexec "$here/bootstrap-sources/debian"\n')
    show.chmod(0o755)


def test_the_build_hosts_own_mirror_is_used(minimal, commands):
    commands.on("apt-get", "indextargets").prints(LISTED)
    assert sources(minimal, DIB_RELEASE="bookworm") == [
        "default:deb http://mirror.test/debian bookworm main",
        "updates:deb http://mirror.test/debian bookworm-updates main",
        "security:deb http://mirror.test/debian-security bookworm-security main"]


def test_a_host_without_package_lists_is_asked_for_its_configuration(minimal, commands):
    commands.on("apt-get", "update", "--print-uris").prints(CONFIGURED)
    assert sources(minimal, DIB_RELEASE="stable") == [
        "default:deb http://mirror.test/debian stable main",
        "updates:deb http://mirror.test/debian stable-updates main",
        "security:deb http://mirror.test/debian-security stable-security main"]


def test_a_host_that_is_not_debian_leaves_it_to_the_bootstrap_tool(minimal, commands):
    commands.on("apt-get", "indextargets").prints(LISTED.splitlines()[0])
    assert sources(minimal) == []


@pytest.mark.parametrize("variable", ["DIB_DISTRIBUTION_MIRROR", "DIB_DEBIAN_DISTRIBUTION_MIRROR"])
def test_a_given_mirror_wins(minimal, commands, variable):
    commands.on("apt-get", "indextargets").prints(LISTED)
    assert sources(minimal, **{variable: "http://given.test/d"})[0] == "default:deb http://given.test/d stable main"


def test_without_a_security_mirror_it_is_said_that_there_are_no_updates(minimal):
    run = minimal.run_with("show-sources", side="host", env={"DIB_DISTRIBUTION_MIRROR": "http://given.test/d"})
    assert run.ok
    assert "DIB_DEBIAN_SECURITY_MIRROR" in run.output
    assert "security:" not in run.output


@pytest.mark.parametrize("release", ["testing", "unstable", "sid"])
def test_releases_in_motion_have_one_source(minimal, release):
    env = {"DIB_RELEASE": release, "DIB_DISTRIBUTION_MIRROR": "http://given.test/d"}
    assert sources(minimal, **env) == [f"default:deb http://given.test/d {release} main"]


def test_components_and_security_names(minimal):
    given = {"DIB_DISTRIBUTION_MIRROR": "http://given.test/d", "DIB_DEBIAN_SECURITY_MIRROR": "http://given.test/s",
             "DIB_DEBIAN_COMPONENTS": "main,contrib"}
    assert sources(minimal, DIB_RELEASE="bookworm", DIB_DEBIAN_SECURITY_SUBPATH="-x", **given)[2] == (
        "security:deb http://given.test/s bookworm-security-x main contrib")
    assert sources(minimal, DIB_RELEASE="buster", **given)[2] == (
        "security:deb http://given.test/s buster/updates main contrib")


def test_sources_can_be_given_completely(minimal):
    conf = "mine:deb http://given.test/d stretch main\nother:deb [arch=amd64] http://given.test/o x y"
    assert sources(minimal, DIB_APT_SOURCES_CONF=conf) == conf.splitlines()


def packages(minimal, **env: str) -> list[str]:
    show = minimal.hooks / "show-packages"
    show.write_text(
        '#!/bin/bash\nset -eu\nfor file in "$(dirname "$0")"/environment.d/*; do . "$file"; done\n'
        'echo "packages: $DIB_BOOTSTRAP_PACKAGES"\n')
    show.chmod(0o755)
    return minimal.run_with("show-packages", side="host", env=env).output.splitlines()[-1].split()[1:]


def test_kernel_by_architecture(minimal):
    assert "linux-image-amd64" in packages(minimal)
    assert "linux-image-arm64" in packages(minimal, ARCH="arm64")
    assert not [name for name in packages(minimal, ARCH="riscv64") if name.startswith("linux-image")]


def test_name_servers_come_with_the_network_or_by_resolved(minimal):
    assert "systemd-resolved" in packages(minimal, IMAGE_ELEMENT="debian-minimal vm")
    assert "systemd-resolved" not in packages(minimal, IMAGE_ELEMENT="debian-minimal simple-init")
    assert "systemd-resolved" not in packages(minimal, DIB_RELEASE="bullseye")


def test_tools_of_the_root_filesystem(minimal):
    assert "e2fsprogs" in packages(minimal)
    assert "xfsprogs" in packages(minimal, FS_TYPE="xfs")


def test_nothing_is_left_to_do_after_mmdebstrap(fake_root, minimal, commands):
    fake_root.like("debian-12")
    commands.on("dpkg-query").prints("installed")
    fake_root.write("/var/lib/apt/lists/mirror.test_Packages", "")
    assert minimal.run_with("apt-lists/mark", str(fake_root.path("/")), side="host").ok
    commands.fake("unshare")
    run = minimal.run("root.d/75-debian-minimal-baseinstall")
    assert run.ok, run.output
    assert not run.called("unshare")


def test_after_debootstrap_the_rest_is_installed(fake_root, minimal, commands):
    fake_root.like("debian-12")
    fake_root.write("/etc/apt/sources.list", "deb http://mirror.test/debian bookworm main\n")
    commands.fake("unshare")
    env = {"DIB_RELEASE": "bookworm", "DIB_DISTRIBUTION_MIRROR": "http://given.test/d",
           "DIB_DEBIAN_SECURITY_MIRROR": "http://given.test/s"}
    run = minimal.run("root.d/75-debian-minimal-baseinstall", env=env)
    assert run.ok, run.output
    assert run.called("unshare", "chroot", "systemd-sysv", "linux-image-amd64")
    assert not fake_root.exists("/etc/apt/sources.list")
    assert fake_root.read("/etc/apt/sources.list.d/security.list") == "deb http://given.test/s bookworm-security main\n"


def test_the_fingerprint_is_the_state_of_the_archives(minimal, fingerprint_is_of_the_archives):
    fingerprint_is_of_the_archives(minimal)
