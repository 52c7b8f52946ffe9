"""A small Ubuntu: where its packages come from, and which they are."""

import pytest


@pytest.fixture
def minimal(fake_root, element, commands):
    fake_root.env |= {"DISTRO_NAME": "ubuntu", "DIB_RELEASE": ""}
    commands.fake("apt-get", "apt-config")
    under_test = element("ubuntu-minimal")
    show = under_test.hooks / "show"
    show.write_text('#!/bin/bash\nset -eu\nfor file in "$(dirname "$0")"/environment.d/*; do . "$file"; done\n'
                    '"$(dirname "$0")/bootstrap-sources/ubuntu"\necho "packages: $DIB_BOOTSTRAP_PACKAGES"\n')
    show.chmod(0o755)

    def run(**env):
        done = under_test.run_with("show", side="host", env=env)
        assert done.ok, done.output
        *sources, packages = done.output.splitlines()
        return sources, packages.split()

    run.under_test = under_test
    return run


def test_a_given_archive(minimal):
    sources, packages = minimal(DIB_DISTRIBUTION_MIRROR="http://a.test/ubuntu",
                                DIB_UBUNTU_MIRROR_DISTS="updates,security")
    assert sources == ["default:deb http://a.test/ubuntu noble main universe",
                       "updates:deb http://a.test/ubuntu noble-updates main universe",
                       "security:deb http://a.test/ubuntu noble-security main universe"]
    assert {"linux-image-generic", "systemd-resolved", "e2fsprogs"} <= set(packages)


def test_the_build_hosts_own_archive(minimal, commands):
    commands.on("apt-get", "indextargets").prints("Packages|Debian|Debian|http://d.test/debian/\n"
                                                   "Packages|Ubuntu|Ubuntu|http://u.test/ubuntu/")
    assert minimal(DIB_RELEASE="jammy")[0][0] == "default:deb http://u.test/ubuntu jammy main universe"


def test_a_host_without_lists(minimal, commands):
    commands.on("apt-get", "--print-uris").prints("'http://p.test/ubuntu-ports/dists/noble/InRelease' x 0")
    assert minimal()[0][0] == "default:deb http://p.test/ubuntu-ports noble main universe"


def test_another_host_leaves_it_to_the_bootstrap_tool(minimal, commands):
    commands.on("apt-get", "indextargets").prints("Packages|Debian|Debian|http://d.test/debian/")
    assert minimal()[0] == []


@pytest.mark.parametrize(("env", "there", "missing"), [
    ({"DIB_UBUNTU_KERNEL": "linux-image-virtual"}, "linux-image-virtual", "linux-image-generic"),
    ({"FS_TYPE": "xfs"}, "xfsprogs", "e2fsprogs"), ({"FS_TYPE": "btrfs"}, "btrfs-progs", "e2fsprogs"),
    ({"DIB_RELEASE": "jammy"}, "systemd-sysv", "systemd-resolved"),
    ({"IMAGE_ELEMENT": "ubuntu-minimal dhcp-all-interfaces"}, "systemd-timesyncd", "systemd-resolved"),
])
def test_packages(minimal, env, there, missing):
    packages = minimal(**env)[1]
    assert there in packages and missing not in packages


def test_sources_can_be_given_completely(minimal):
    assert minimal(DIB_APT_SOURCES_CONF="mine:deb http://a.test noble main")[0] == ["mine:deb http://a.test noble main"]


def test_after_debootstrap_the_rest_is_installed(minimal, fake_root, commands):
    fake_root.like("ubuntu-24.04")
    commands.fake("unshare")
    run = minimal.under_test.run("root.d/75-ubuntu-minimal-baseinstall",
                                 env={"DIB_RELEASE": "noble", "DIB_DISTRIBUTION_MIRROR": "http://a.test/ubuntu"})
    assert run.ok, run.output
    assert run.called("unshare", "chroot", "linux-image-generic")
    assert fake_root.read("/etc/apt/sources.list.d/backports.list") == (
        "deb http://a.test/ubuntu noble-backports main universe\n")


def test_the_fingerprint_is_the_state_of_the_archives(minimal, fingerprint_is_of_the_archives):
    fingerprint_is_of_the_archives(minimal.under_test, alone=False)
