"""MariaDB on Fedora: enabled, not started in the build."""

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent.parent


def test_it_starts_at_boot_and_not_in_the_build(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.mkdir("/etc/systemd/system")
    run = element("fedora-mysql").run("post-install.d/40-mysql")
    assert run.ok, run.output
    assert run.enabled == {"mariadb"}
    assert not run.called("systemctl", "start") and not run.called("service")


def test_what_is_installed():
    assert set(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == {"mariadb-server"}
