"""A folder of the builder's settings of apt."""

SCRIPT = "extra-data.d/99-override-default-apt-conf-dir"


def test_files_are_added_links_followed(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    fake_root.write("/etc/apt/apt.conf.d/01keep", "keep\n")
    fake_root.write("/etc/apt/apt.conf.d/02x", "old\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "real").write_text("mine\n")
    (tmp_path / "conf/02x").symlink_to(tmp_path / "real")
    run = element("apt-conf-dir").run(SCRIPT, env={"DIB_APT_CONF_DIR": str(tmp_path / "conf")})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/apt.conf.d/02x") == "mine\n"
    assert fake_root.read("/etc/apt/apt.conf.d/01keep") == "keep\n"
    assert fake_root.link("/etc/apt/apt.conf.d/02x") is None


def test_without_a_folder_everything_stays(fake_root, element):
    fake_root.like("debian-12")
    run = element("apt-conf-dir").run(SCRIPT)
    assert run.ok and run.wrote == ()


def test_a_folder_that_is_not_there_ends_the_build(fake_root, element):
    fake_root.like("debian-12")
    run = element("apt-conf-dir").run(SCRIPT, env={"DIB_APT_CONF_DIR": "/no/such"})
    assert run.exit_code == 1
    assert "DIB_APT_CONF_DIR names /no/such, which is not a folder" in run.output
