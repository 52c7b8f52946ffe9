"""Nothing of the build machine's identity stays."""

SCRIPT = "finalise.d/99-clear-machine-id"


def test_the_machine_id_is_left_to_the_first_boot(fake_root, element):
    fake_root.like("debian-12").write("/var/lib/dbus/machine-id", "0123\n")
    assert element("sysprep").run(SCRIPT).ok
    assert fake_root.read("/etc/machine-id") == "uninitialized\n"
    assert fake_root.read("/var/lib/dbus/machine-id") == ""


def test_a_link_to_it_is_no_second_copy(fake_root, element):
    fake_root.like("debian-12").symlink("/var/lib/dbus/machine-id", "/etc/machine-id")
    assert element("sysprep").run(SCRIPT).ok
    assert fake_root.read("/etc/machine-id") == "uninitialized\n"


def test_an_image_without_one_gets_none(fake_root, element):
    fake_root.like("bare")
    run = element("sysprep").run(SCRIPT)
    assert run.ok and run.wrote == ()
