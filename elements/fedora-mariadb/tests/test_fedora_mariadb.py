"""MariaDB on Fedora: enabled, not started in the build."""


def test_it_starts_at_boot_and_not_in_the_build(fake_root, element):
    fake_root.like("fedora-41")
    run = element("fedora-mariadb").run("post-install.d/40-mysql")
    assert run.ok, run.output
    assert run.enabled == {"mariadb"}
