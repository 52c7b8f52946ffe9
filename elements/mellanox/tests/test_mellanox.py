"""Drivers of Mellanox's cards."""


def test_they_are_loaded(fake_root, element):
    fake_root.like("debian-12")
    assert element("mellanox").run("install.d/65-mellanox").ok
    assert "mlx5_core\n" in fake_root.read("/etc/modules-load.d/mellanox.conf")
    assert 'ATTR{vendor}=="0x15b3"' in fake_root.read("/etc/udev/rules.d/81-mellanox.rules")


def test_a_ramdisk_has_them_too(element):
    assert "mlx5_core" in (element("mellanox").hooks / "init.d/01-mellanox").read_text()
