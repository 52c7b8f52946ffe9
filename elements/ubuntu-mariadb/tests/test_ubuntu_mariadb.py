"""MariaDB on Ubuntu is configured as on Debian."""


def test_trove_knows_it_as_mariadb(fake_root, element, commands):
    fake_root.like("ubuntu-24.04")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/mysql/mariadb.conf.d"):
        fake_root.mkdir(place)
    commands.fake("visudo", "install")
    commands.on("id").prints("105")
    under_test = element("ubuntu-mariadb", also=["ubuntu-guest"])
    assert under_test.run("post-install.d/39-mariadb").ok
    run = under_test.run("post-install.d/40-mysql")
    assert run.ok, run.output
    assert "[mariadb]\n" in fake_root.read("/etc/trove/conf.d/zz-mariadb.conf")
