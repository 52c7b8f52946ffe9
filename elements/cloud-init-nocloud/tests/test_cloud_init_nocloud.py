"""cloud-init without a cloud."""

import pytest

LIST = "/etc/cloud/cloud.cfg.d/91-dib-cloud-init-datasources.cfg"


def test_an_empty_seed_is_enough(fake_root, element):
    fake_root.like("debian-12")
    run = element("cloud-init-nocloud").run("install.d/05-inject-local-source-data")
    assert run.wrote == ("/var/lib/cloud/seed/nocloud/meta-data", "/var/lib/cloud/seed/nocloud/user-data")
    assert fake_root.read("/var/lib/cloud/seed/nocloud/meta-data") == ""


def test_a_seed_that_is_there_is_kept(fake_root, element):
    fake_root.like("debian-12").write("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\n")
    assert element("cloud-init-nocloud").run("install.d/05-inject-local-source-data").ok
    assert fake_root.read("/var/lib/cloud/seed/nocloud/user-data") == "#cloud-config\n"


@pytest.mark.parametrize(("given", "written"), [
    ("", "NoCloud, None"), ("ConfigDrive", "NoCloud, ConfigDrive, None"),
    ("ConfigDrive, NoCloud", "ConfigDrive, NoCloud, None"), ("Ec2,NoCloud", "Ec2, NoCloud, None"),
])
def test_nocloud_is_among_the_sources(fake_root, element, given, written):
    fake_root.like("debian-12").mkdir("/etc/cloud/cloud.cfg.d")
    env = {"DIB_CLOUD_INIT_DATASOURCES": given} if given else {}
    run = element("cloud-init-nocloud").run("install.d/05-set-cloud-init-sources", env=env)
    assert run.ok, run.output
    assert fake_root.read(LIST) == f"datasource_list: [ {written} ]\n"
