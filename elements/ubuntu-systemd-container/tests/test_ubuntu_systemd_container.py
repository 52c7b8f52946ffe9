"""An Ubuntu for containers."""


def test_no_kernel_comes_with_it(fake_root, element, commands):
    fake_root.like("ubuntu-24.04")
    commands.fake("unshare")
    run = element("ubuntu-systemd-container").run(
        "root.d/75-ubuntu-systemd-container",
        env={"DIB_RELEASE": "noble", "DIB_DISTRIBUTION_MIRROR": "http://a.test/ubuntu"})
    assert run.ok, run.output
    assert run.called("unshare", "chroot", "systemd-sysv")
    assert "linux-image" not in " ".join(run.lines)
    assert fake_root.exists("/etc/apt/sources.list.d/security.list")
    assert fake_root.read("/etc/apt/sources.list.d/default.list") == "deb http://a.test/ubuntu noble main universe\n"


def test_the_fingerprint_is_the_state_of_the_archives(element, fingerprint_is_of_the_archives):
    fingerprint_is_of_the_archives(element("ubuntu-systemd-container"), alone=False)
