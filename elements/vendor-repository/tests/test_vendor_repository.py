"""Repositories of vendors, trusted by the fingerprint of their key."""

import configparser

import pytest

FINGERPRINT = "4D1BB29D63D98E422B2113B19334A25F8507EFA5"
FETCH = 'while [ "$1" != --output ]; do shift; done; echo "the key" >"$2"'


@pytest.fixture
def add(fake_root, element, commands):
    def run(root, tool, *arguments, found=FINGERPRINT, env=None):
        fake_root.like(root)
        for place in ("/etc/apt/sources.list.d", "/etc/yum.repos.d"):
            fake_root.mkdir(place)
        commands.on("curl").does(FETCH)
        commands.fake("gpg")
        commands.on("gpg", "--show-keys").prints(f"pub:x:1:2\nfpr:::::::::{found}:\nfpr:::::::::OTHER:")
        return element("vendor-repository").run_with(f"vendor-repository/{tool}", *arguments, side="target",
                                                       env=env)

    return run


APT = ("vendor", "https://vendor.test/key", FINGERPRINT, "https://vendor.test/apt", "noble", "main", "extra")


def test_apt_trusts_the_key_for_this_repository_only(add, fake_root):
    run = add("ubuntu-24.04", "add-apt", *APT)
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/sources.list.d/vendor.sources") == (
        "Types: deb\nURIs: https://vendor.test/apt\nSuites: noble\nComponents: main extra\n"
        "Signed-By: /etc/apt/keyrings/vendor.asc\n")
    assert fake_root.read("/etc/apt/keyrings/vendor.asc") == "the key\n"
    assert run.called("curl", "--proto", "=https", "https://vendor.test/key")
    assert run.called("apt-get", "update")


@pytest.mark.parametrize("release", ["trusty", "xenial"])
def test_an_apt_of_2016_gets_the_key_as_it_knows_them(add, fake_root, release):
    run = add("ubuntu-24.04", "add-apt", *APT, env={"DIB_RELEASE": release})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/sources.list.d/vendor.list") == "deb https://vendor.test/apt noble main extra\n"
    assert not fake_root.exists("/etc/apt/sources.list.d/vendor.sources")
    assert run.called("gpg", "--dearmor", "/etc/apt/trusted.gpg.d/vendor.gpg", "/etc/apt/keyrings/vendor.asc")
    assert run.called("apt-get", "update")


def test_a_flat_repository_has_no_components(add, fake_root):
    assert add("ubuntu-24.04", "add-apt", *APT[:5]).ok
    assert "Components" not in fake_root.read("/etc/apt/sources.list.d/vendor.sources")


def test_dnf_refuses_packages_without_a_signature(add, fake_root):
    assert add("fedora-41", "add-dnf", "vendor", "https://vendor.test/key", FINGERPRINT, "https://vendor.test/$basearch").ok
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(fake_root.read("/etc/yum.repos.d/vendor.repo"))
    assert dict(parser["vendor"]) == {
        "name": "vendor", "baseurl": "https://vendor.test/$basearch", "enabled": "1", "gpgcheck": "1",
        "gpgkey": "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-vendor"}
    assert fake_root.read("/etc/pki/rpm-gpg/RPM-GPG-KEY-vendor") == "the key\n"


def test_another_key_is_not_trusted(add, fake_root):
    run = add("ubuntu-24.04", "add-apt", *APT, found="BAD")
    assert run.exit_code == 1
    assert f"is BAD, but {FINGERPRINT} is expected; it is not trusted" in run.output
    assert not fake_root.exists("/etc/apt/keyrings/vendor.asc")
    assert not fake_root.exists("/etc/apt/sources.list.d/vendor.sources")


def test_a_file_of_many_keys(add):
    assert add("ubuntu-24.04", "add-apt", *APT[:2], "-", *APT[3:], found="ANY").ok


def test_a_key_that_cannot_be_fetched(add, commands, fake_root, element):
    fake_root.like("ubuntu-24.04")
    commands.on("curl").exits(22)
    run = element("vendor-repository").run_with("vendor-repository/add-apt", *APT, side="target")
    assert run.exit_code == 1 and "the key https://vendor.test/key cannot be fetched" in run.output
