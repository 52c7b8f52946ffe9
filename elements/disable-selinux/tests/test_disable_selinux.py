"""SELinux, switched off."""

SCRIPT = "post-install.d/15-disable-selinux"


def test_it_is_disabled(fake_root, element):
    fake_root.like("fedora-41")
    assert element("disable-selinux").run(SCRIPT).ok
    assert fake_root.read("/etc/selinux/config") == "SELINUX=disabled\nSELINUXTYPE=targeted\n"


def test_where_there_is_none_nothing_happens(fake_root, element):
    fake_root.like("debian-12")
    run = element("disable-selinux").run(SCRIPT)
    assert run.ok and run.wrote == ()
