"""The driver nouveau stays away."""


def test_the_kernel_is_told(fake_root, element):
    fake_root.like("debian-12")
    assert element("disable-nouveau").run("extra-data.d/50-modprobe-blacklist").ok
    assert "blacklist nouveau\n" in fake_root.read("/etc/modprobe.d/disable-nouveau.conf")


def test_dracut_is_told(element):
    assert "omit_drivers" in (element("disable-nouveau").hooks / "dracut.conf.d/disable-nouveau.conf").read_text()
