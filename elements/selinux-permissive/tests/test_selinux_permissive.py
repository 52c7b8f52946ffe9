"""SELinux that refuses nothing."""

SCRIPT = "pre-install.d/11-selinux-permissive"


def test_it_is_permissive(fake_root, element):
    fake_root.like("fedora-41")
    assert element("selinux-permissive").run(SCRIPT).ok
    assert fake_root.read("/etc/selinux/config") == "SELINUX=permissive\nSELINUXTYPE=targeted\n"


def test_where_there_is_none_nothing_happens(fake_root, element):
    fake_root.like("debian-12")
    assert element("selinux-permissive").run(SCRIPT).wrote == ()
