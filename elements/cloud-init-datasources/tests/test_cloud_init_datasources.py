"""Where cloud-init looks for its data."""

import pytest

SCRIPT = "install.d/05-set-cloud-init-sources"
FOLDER = "/etc/cloud/cloud.cfg.d"


@pytest.mark.parametrize(("wanted", "written"), [
    ("ConfigDrive, OpenStack", "ConfigDrive, OpenStack, None"), ("Ec2,NoCloud", "Ec2, NoCloud, None"),
    ("Ec2 None", "Ec2, None"), ("None", "None"),
])
def test_the_list_ends_with_none(fake_root, element, wanted, written):
    fake_root.like("debian-12").mkdir(FOLDER)
    run = element("cloud-init-datasources").run(SCRIPT, env={"DIB_CLOUD_INIT_DATASOURCES": wanted})
    assert run.ok, run.output
    assert fake_root.read(f"{FOLDER}/91-dib-cloud-init-datasources.cfg") == f"datasource_list: [ {written} ]\n"


def test_ec2_and_config_drive_bring_settings(fake_root, element):
    fake_root.like("debian-12").mkdir(FOLDER)
    run = element("cloud-init-datasources").run(SCRIPT, env={"DIB_CLOUD_INIT_DATASOURCES": "Ec2, ConfigDrive"})
    assert len(run.wrote) == 3
    assert "strict_id: false" in fake_root.read(f"{FOLDER}/92-ec2-datasource.cfg")
    network = f"{FOLDER}/93-dib-cloud-init-disable-datasource-network-activation.cfg"
    assert fake_root.read(network) == "disable_network_activation: true\n"


def test_no_list_is_an_error(fake_root, element):
    fake_root.like("debian-12").mkdir(FOLDER)
    run = element("cloud-init-datasources").run(SCRIPT)
    assert run.exit_code == 1
    assert "set DIB_CLOUD_INIT_DATASOURCES" in run.output


def test_without_cloud_init_there_is_nothing_to_do(fake_root, element):
    fake_root.like("debian-12")
    run = element("cloud-init-datasources").run(SCRIPT, env={"DIB_CLOUD_INIT_DATASOURCES": "Ec2"})
    assert run.ok and run.wrote == ()
