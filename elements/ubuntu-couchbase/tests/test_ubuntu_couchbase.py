"""Couchbase, from the builder's own package."""


def test_it_is_installed_without_being_started(fake_root, element, commands, tmp_path):
    fake_root.like("ubuntu-24.04")
    (tmp_path / "couchbase-server.deb").touch()
    commands.on("dpkg", "--print-architecture").prints("amd64")
    commands.fake("dpkg-deb")
    commands.on("dpkg-deb", "--field").prints("amd64")
    under_test = element("ubuntu-couchbase")
    env = {"DATASTORE_PKG_LOCATION": str(tmp_path / "couchbase-server.deb")}
    assert under_test.run("extra-data.d/40-datastore-package", env=env).ok
    run = under_test.run("install.d/40-datastore-package", env=env)
    assert run.ok, run.output
    installed = next(call for call in run.calls if call.name == "install-packages")
    assert installed.env["INSTALL_DONT_START_SERVER"] == "1"


def test_settings_of_the_kernel(fake_root, element):
    fake_root.like("ubuntu-24.04")
    for place in ("/etc/sysctl.d", "/etc/tmpfiles.d"):
        fake_root.mkdir(place)
    assert element("ubuntu-couchbase").run("post-install.d/40-couchbase").ok
    assert fake_root.read("/etc/sysctl.d/60-couchbase.conf") == "vm.swappiness = 0\n"
    assert "transparent_hugepage" in fake_root.read("/etc/tmpfiles.d/couchbase.conf")
