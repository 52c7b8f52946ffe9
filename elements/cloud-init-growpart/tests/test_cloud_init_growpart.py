"""Which partitions cloud-init enlarges."""

import pytest
import yaml

SCRIPT = "post-install.d/55-cloud-init-growpart"


@pytest.mark.parametrize(("given", "devices"), [
    ("/", ["/"]), ("/dev/vda1 /dev/vda3", ["/dev/vda1", "/dev/vda3"]), ("['/', '/var']", ["/", "/var"]),
    ('- /dev/sda1\n- /dev/sda2', ["/dev/sda1", "/dev/sda2"]), ("/dev/disk/by-label/cloudimg-rootfs",
                                                              ["/dev/disk/by-label/cloudimg-rootfs"]),
])
def test_they_are_listed(fake_root, element, given, devices):
    fake_root.like("debian-12")
    run = element("cloud-init-growpart").run(SCRIPT, env={"DIB_CLOUD_INIT_GROWPART_DEVICES": given})
    assert run.ok, run.output
    assert yaml.safe_load(fake_root.read("/etc/cloud/cloud.cfg.d/55-growpart.cfg")) == {
        "growpart": {"mode": "auto", "devices": devices}}


def test_they_must_be_named(fake_root, element):
    fake_root.like("debian-12")
    run = element("cloud-init-growpart").run(SCRIPT)
    assert run.exit_code == 1 and "set DIB_CLOUD_INIT_GROWPART_DEVICES" in run.output
