"""Modules that stay away."""

SCRIPT = "install.d/80-modprobe-blacklist"


def test_each_is_listed_once(fake_root, element):
    fake_root.like("debian-12").write("/etc/modprobe.d/blacklist.conf", "blacklist pcspkr\n")
    assert element("modprobe-blacklist").run(SCRIPT, env={"DIB_MODPROBE_BLACKLIST": "pcspkr floppy"}).ok
    assert fake_root.read("/etc/modprobe.d/blacklist.conf") == "blacklist pcspkr\nblacklist floppy\n"


def test_a_list_there_must_be(fake_root, element):
    fake_root.like("debian-12")
    run = element("modprobe-blacklist").run(SCRIPT)
    assert run.exit_code == 1 and "set DIB_MODPROBE_BLACKLIST" in run.output


def test_both_elements_fit_into_one_build(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("modprobe-blacklist", also=["modprobe"])
    env = {"DIB_MODPROBE_BLACKLIST": "floppy"}
    assert under_test.run("install.d/80-modprobe", env=env).ok
    assert under_test.run(SCRIPT, env=env).ok
    assert fake_root.read("/etc/modprobe.d/blacklist.conf") == "blacklist floppy\n"
