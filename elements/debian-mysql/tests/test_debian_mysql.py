"""MariaDB that waits for the guest agent."""

import configparser

import pytest

SCRIPT = "post-install.d/40-mysql"


@pytest.fixture
def mysql(fake_root, element, commands):
    fake_root.like("debian-12")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/mysql/mariadb.conf.d", "/var/lib/mysql/mysql"):
        fake_root.mkdir(place)
    commands.fake("visudo", "install")
    commands.on("id").prints("105")
    return element("debian-mysql", also=["guest-agent"])


def test_the_agent_starts_it_and_makes_its_tables(mysql, fake_root):
    run = mysql.run(SCRIPT)
    assert run.ok, run.output
    assert run.called("systemctl", "disable", "mariadb.service")
    assert not fake_root.exists("/var/lib/mysql/mysql")
    assert fake_root.link("/var/lib/mysqld") == "/run/mysqld"
    rules = fake_root.read("/etc/sudoers.d/61-trove-mysql").splitlines()
    assert rules[-1] == (
        r"trove ALL=(root) NOPASSWD: /usr/bin/mariadb-install-db --user\=mysql --datadir\=/var/lib/mysql/data "
        r"--skip-test-db --auth-root-authentication-method\=socket --auth-root-socket-user\=trove")


def test_the_machines_needs_come_after_troves_wishes(mysql, fake_root):
    assert mysql.run(SCRIPT).ok
    wishes, _, needs = fake_root.read("/etc/mysql/mariadb.conf.d/90-trove.cnf").partition("\n\n")
    assert wishes.splitlines() == [f"!include /etc/trove/mysql/{name}.conf" for name in ("10-trove", "20-overrides")]
    parser = configparser.ConfigParser()
    parser.read_string(needs)
    assert dict(parser["mysqld"]) == {"datadir": "/var/lib/mysql/data", "socket": "/run/mysqld/mysqld.sock",
                                      "pid-file": "/run/mysqld/mysqld.pid", "bind-address": "*"}


def test_the_classic_agent_has_no_manager_for_it(mysql):
    run = mysql.run(SCRIPT, env={"TROVE_VERSION": "13.0.1"})
    assert run.exit_code == 1 and run.calls == ()
    assert "trove 13.0.1 has no manager for today's MariaDB; set TROVE_VERSION" in run.output


def test_without_an_agent_it_is_debians(mysql):
    run = mysql.run(SCRIPT, env={"TROVE_AGENT": "none"})
    assert run.ok and run.wrote == () and run.removed == () and run.calls == ()
