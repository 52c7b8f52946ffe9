"""PostgreSQL on Fedora: enabled, not started in the build."""

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent.parent


def test_it_starts_at_boot_and_not_in_the_build(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.mkdir("/etc/systemd/system")
    run = element("fedora-postgresql").run("post-install.d/40-postgresql")
    assert run.ok, run.output
    assert run.enabled == {"postgresql"}
    assert not run.called("systemctl", "start") and not run.called("service")
    text = fake_root.read("/etc/systemd/system/postgresql.service.d/initdb.conf")
    assert "postgresql-setup --initdb" in text


def test_what_is_installed():
    wanted = {"postgresql-contrib", "postgresql-server"}
    assert set(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == wanted
