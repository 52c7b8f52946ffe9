"""The builder's own configuration of apt."""

SCRIPT = "extra-data.d/99-override-default-apt-conf"


def test_the_file_is_copied_links_followed(fake_root, element, tmp_path):
    fake_root.like("debian-12").write("/etc/apt/apt.conf", "old\n")
    (tmp_path / "real").write_text("mine\n")
    (tmp_path / "link").symlink_to("real")
    run = element("apt-conf").run(SCRIPT, env={"DIB_APT_CONF": str(tmp_path / "link")})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/apt.conf") == "mine\n"
    assert fake_root.link("/etc/apt/apt.conf") is None
    assert fake_root.mode("/etc/apt/apt.conf") == 0o644


def test_without_a_file_everything_stays(fake_root, element):
    fake_root.like("debian-12")
    run = element("apt-conf").run(SCRIPT)
    assert run.ok and run.wrote == ()


def test_a_file_that_is_not_there_ends_the_build(fake_root, element):
    fake_root.like("debian-12")
    run = element("apt-conf").run(SCRIPT, env={"DIB_APT_CONF": "/no/such/file"})
    assert run.exit_code == 1
    assert "DIB_APT_CONF names /no/such/file, which is not a file" in run.output
