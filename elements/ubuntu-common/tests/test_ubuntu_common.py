"""What all Ubuntu images have in common."""

import pytest


@pytest.fixture
def variables(fake_root, element):
    """What scripts see of the element's environment."""
    fake_root.like("bare")
    under_test = element("ubuntu-common")
    show = under_test.hooks / "install.d/00-show"
    show.write_text('#!/bin/bash\necho "$DISTRO_NAME $DIB_RELEASE $DIB_INIT_SYSTEM $DIB_DEBIAN_COMPONENTS_WS"\n')
    show.chmod(0o755)

    def run(**env):
        return under_test.run("install.d/00-show", env={"DIB_RELEASE": "", **env}).output.strip()

    return run


def test_defaults(variables):
    assert variables() == "ubuntu noble systemd main universe"
    assert variables(DIB_RELEASE="trusty", DIB_DEBIAN_COMPONENTS="main") == "ubuntu trusty upstart main"


def test_addresses_and_packages(fake_root, element):
    fake_root.like("ubuntu-24.04")
    under_test = element("ubuntu-common")
    assert under_test.run("install.d/12-no-ipv6-privacy").ok
    assert "net.ipv6.conf.default.use_tempaddr = 0\n" in fake_root.read("/etc/sysctl.d/99-cloudimg-ipv6.conf")
    assert under_test.run("post-install.d/90-autoremove").called("apt-get", "autoremove")
