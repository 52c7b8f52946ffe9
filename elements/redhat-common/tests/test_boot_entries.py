"""Boot entries are named by the machine id."""

ID = "0123456789abcdef0123456789abcdef"
SCRIPT = "pre-install.d/02-boot-entries"


def test_entries_of_another_machine_become_this_ones(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write(f"/boot/loader/entries/{'f' * 32}-6.1.conf", "title x\n")
    assert element("redhat-common").run(SCRIPT).ok
    assert fake_root.read(f"/boot/loader/entries/{ID}-6.1.conf") == "title x\n"


def test_a_machine_without_an_id_gets_one(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write("/etc/machine-id", "uninitialized\n")
    assert element("redhat-common").run(SCRIPT).ok
    assert len(fake_root.read("/etc/machine-id").strip()) == 32
