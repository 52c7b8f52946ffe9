"""MariaDB under its own name."""


def test_trove_knows_it_as_mariadb(fake_root, element, commands):
    fake_root.like("debian-12")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/mysql/mariadb.conf.d"):
        fake_root.mkdir(place)
    commands.fake("visudo", "install")
    commands.on("id").prints("105")
    under_test = element("debian-mariadb", also=["guest-agent"])
    assert under_test.run("post-install.d/39-mariadb").ok
    run = under_test.run("post-install.d/40-mysql")
    assert run.ok, run.output
    assert "= mariadb:packaged_datastores.mariadb.Manager\n" in fake_root.read("/etc/trove/conf.d/zz-registry.conf")
    assert "[mariadb]\n" in fake_root.read("/etc/trove/conf.d/zz-mariadb.conf")
    assert "!include /etc/trove/mariadb/10-trove.conf\n" in fake_root.read("/etc/mysql/mariadb.conf.d/90-trove.cnf")
