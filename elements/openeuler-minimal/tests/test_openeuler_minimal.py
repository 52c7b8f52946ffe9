"""openEuler from its packages."""


def test_dnf_gets_its_repositories(fake_root, element, commands, tmp_path):
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    fake_root.mkdir("/etc")
    commands.fake("dnf", "rpm", "chroot", "unshare")
    commands.on("unshare").does(f'cat "$(sed -E "s/.*reposdir=([^ ]*).*/\\1/" <<<"$*")"/*.repo >"{tmp_path}/seen"')
    run = element("openeuler-minimal").run("root.d/08-yum-minimal", env={"DIB_DISTRIBUTION_MIRROR": "http://m.test"})
    assert run.ok, run.output
    assert run.called("unshare", "dnf", "--releasever=24.03-LTS", "install", "openEuler-release")
    assert "baseurl=http://m.test/openEuler-$releasever/OS/$basearch/\n" in (tmp_path / "seen").read_text()
