"""Kernel modules: options and blacklist."""


def test_files_of_all_elements_are_copied(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("modprobe")
    (under_test.hooks / "modprobe.d").mkdir()
    (under_test.hooks / "modprobe.d/one.conf").write_text("options one two=3\n")
    (under_test.hooks / "modprobe.d/notes").write_text("no configuration\n")
    assert under_test.run("extra-data.d/50-modprobe-blacklist").wrote == ("/etc/modprobe.d/one.conf",)


def test_no_files_are_fine(fake_root, element):
    fake_root.like("bare")
    run = element("modprobe").run("extra-data.d/50-modprobe-blacklist")
    assert run.ok and run.wrote == ()


def test_modules_are_blacklisted_once(fake_root, element):
    fake_root.like("debian-12").write("/etc/modprobe.d/blacklist.conf", "blacklist pcspkr\n")
    assert element("modprobe").run("install.d/80-modprobe", env={"DIB_MODPROBE_BLACKLIST": "pcspkr floppy"}).ok
    assert fake_root.read("/etc/modprobe.d/blacklist.conf") == "blacklist pcspkr\nblacklist floppy\n"


def test_without_the_variable_nothing_happens(fake_root, element):
    fake_root.like("bare")
    run = element("modprobe").run("install.d/80-modprobe")
    assert run.ok and run.wrote == ()
