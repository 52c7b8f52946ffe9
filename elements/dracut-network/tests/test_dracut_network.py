"""An initramfs with a network."""


def test_the_module_is_asked_for(fake_root, element):
    fake_root.like("fedora-41")
    assert element("dracut-network").run("extra-data.d/50-dracut-conf").ok
    assert fake_root.read("/etc/dib-dracut-modules") == "network dracut-network\n"
