"""cloud-init leaves sizes alone."""

SCRIPT = "post-install.d/55-cloud-init-disable-resizefs"
CONFIG = """\
cloud_init_modules:
  - seed_random
  - growpart
  - [resizefs, always]
  - set_hostname
growpart_notes: x
"""


def test_both_modules_are_gone(fake_root, element):
    fake_root.like("debian-12").write("/etc/cloud/cloud.cfg", CONFIG)
    assert element("cloud-init-disable-resizefs").run(SCRIPT).ok
    assert fake_root.read("/etc/cloud/cloud.cfg") == (
        "cloud_init_modules:\n  - seed_random\n  - set_hostname\ngrowpart_notes: x\n")
    assert not fake_root.exists("/etc/cloud/cloud.cfge")


def test_without_cloud_init_nothing_happens(fake_root, element):
    fake_root.like("debian-12")
    run = element("cloud-init-disable-resizefs").run(SCRIPT)
    assert run.ok and run.wrote == () and "nothing to do" in run.output
