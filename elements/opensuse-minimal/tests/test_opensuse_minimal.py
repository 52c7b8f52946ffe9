"""openSUSE from its packages."""


def test_leap_is_the_default(fake_root, element, commands):
    fake_root.mkdir("/etc")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    commands.fake("zypper", "unshare")
    run = element("opensuse-minimal").run("root.d/08-zypper-minimal")
    assert run.ok, run.output
    assert run.called("unshare", "addrepo", "oss") and "leap/15.6/repo/oss/" in " ".join(run.lines)
