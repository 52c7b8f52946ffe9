"""The journal on the console."""

SCRIPT = "post-install.d/80-journal-to-console"


def test_it_is_forwarded(fake_root, element):
    fake_root.like("debian-12")
    assert element("journal-to-console").run(SCRIPT).ok
    assert fake_root.read("/etc/systemd/journald.conf.d/50-console.conf") == "[Journal]\nForwardToConsole=yes\n"


def test_without_systemd_there_is_none(fake_root, element):
    fake_root.like("gentoo")
    run = element("journal-to-console").run(SCRIPT)
    assert run.ok and run.wrote == ()
