"""The builder's own package sources."""

SCRIPT = "extra-data.d/99-override-default-apt-sources"


def test_the_file_is_copied_links_followed(fake_root, element, tmp_path):
    fake_root.like("debian-12").write("/etc/apt/sources.list", "old\n")
    (tmp_path / "real").write_text("mine\n")
    (tmp_path / "link").symlink_to("real")
    run = element("apt-sources").run(SCRIPT, env={"DIB_APT_SOURCES": str(tmp_path / "link")})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/sources.list") == "mine\n"
    assert fake_root.link("/etc/apt/sources.list") is None
    assert fake_root.mode("/etc/apt/sources.list") == 0o644


def test_without_a_file_everything_stays(fake_root, element):
    fake_root.like("debian-12")
    run = element("apt-sources").run(SCRIPT)
    assert run.ok and run.wrote == ()


def test_a_file_that_is_not_there_ends_the_build(fake_root, element):
    fake_root.like("debian-12")
    run = element("apt-sources").run(SCRIPT, env={"DIB_APT_SOURCES": "/no/such/file"})
    assert run.exit_code == 1
    assert "DIB_APT_SOURCES names /no/such/file, which is not a file" in run.output
