"""HPE's driver; its packages are recorded."""

import pytest

TRUSTY = {"DISTRO_NAME": "ubuntu", "DIB_RELEASE": "trusty"}


@pytest.mark.parametrize(("env", "ok"), [
    (TRUSTY, True), ({"DISTRO_NAME": "debian", "DIB_RELEASE": "trusty"}, False),
    ({"DISTRO_NAME": "ubuntu", "DIB_RELEASE": "noble"}, False),
])
def test_one_release_has_it(fake_root, element, env, ok):
    fake_root.like("debian-12")
    run = element("hpdsa").run("root.d/10-hpdsa-check", env=env)
    assert run.ok is ok and ("for Ubuntu trusty only" in run.output) is not ok


@pytest.mark.proves("hpdsa", how="stand-in")
def test_its_packages_are_known_and_the_driver_is_loaded(fake_root, element, commands):
    fake_root.like("debian-12")
    fake_root.write("/etc/modules", "")
    commands.fake("curl", "apt-key", "update-initramfs")
    under_test = element("hpdsa")
    run = under_test.run("pre-install.d/06-hpdsa", env={**TRUSTY, "DIB_HPDSA_REPOSITORY": "http://127.0.0.1/hpdsa",
                                                       "DIB_HPDSA_KEY": "http://127.0.0.1/key"})
    assert run.ok and run.called("curl", "http://127.0.0.1/key") and run.called("apt-key", "add")
    assert fake_root.read("/etc/apt/sources.list.d/ubuntu-hpdsa.list") == "deb http://127.0.0.1/hpdsa trusty main\n"
    for _ in range(2):
        assert under_test.run("post-install.d/95-hpdsa").ok
    assert fake_root.read("/etc/modules") == "hpdsa\n"
    assert fake_root.read("/etc/modprobe.d/install-hpdsa.conf") == "blacklist ahci\n"
    assert under_test.run("post-install.d/98-hpdsa-initramfs").called("update-initramfs", "-u")
