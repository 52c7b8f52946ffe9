"""PostgreSQL that waits for the guest agent."""

import pytest

BEFORE = "install.d/98-postgresql"
AFTER = "post-install.d/40-postgresql"


@pytest.fixture
def postgresql(fake_root, element, commands):
    fake_root.like("debian-12")
    fake_root.write("/etc/ssl/private/ssl-cert-snakeoil.key", "-----BEGIN PRIVATE KEY-----\n")
    for place in ("/etc/systemd/system", "/etc/trove/conf.d", "/etc/trove/postgresql", "/etc/sudoers.d",
                  "/usr/share/postgresql/15"):
        fake_root.mkdir(place)
    commands.fake("visudo")
    commands.on("install").does('if [ "${*: -2:1}" = /dev/stdin ]; then cat >"${*: -1}"; fi')
    commands.on("id").prints("104")
    return element("debian-postgresql", also=["guest-agent"])


def test_no_cluster_is_made_in_the_image(postgresql, fake_root):
    assert postgresql.run(BEFORE).ok
    assert fake_root.read("/etc/postgresql-common/createcluster.conf").splitlines() == [
        "create_main_cluster = false", "add_include_dir = '/etc/trove/postgresql'"]


def test_the_pid_file_is_where_the_unit_looks_for_it(postgresql, fake_root):
    run = postgresql.run(AFTER)
    assert run.ok, run.output
    machine = fake_root.read("/etc/trove/postgresql/90-machine.conf")
    assert "external_pid_file = '/run/postgresql/15-main.pid'\n" in machine
    assert "data_directory = '/var/lib/postgresql/15/main'\n" in machine
    assert fake_root.link("/var/lib/postgresql-socket") == "/run/postgresql"


def test_only_the_agent_needs_no_password(postgresql, fake_root):
    assert postgresql.run(AFTER, env={"GUEST_USERNAME": "me"}).ok
    rules = [line.split() for line in fake_root.read("/etc/trove/postgresql/pg_hba").splitlines()]
    assert all(rule[-1] == "scram-sha-256" for rule in rules if rule[0] == "host")
    assert not any("trust" in rule for rule in rules)
    assert fake_root.read("/etc/trove/postgresql/pg_ident").splitlines() == [
        "trove postgres postgres", "trove me postgres"]


def test_the_agent_may_make_the_cluster_and_start_it(postgresql, fake_root):
    assert postgresql.run(AFTER).ok
    rules = fake_root.read("/etc/sudoers.d/61-trove-postgresql").splitlines()
    assert "trove ALL=(root) NOPASSWD: /usr/bin/systemctl start postgresql@15-main.service" in rules
    assert rules[-1] == "trove ALL=(root) NOPASSWD: /usr/bin/pg_createcluster 15 main"


def test_the_key_that_debian_made_is_not_in_the_image(postgresql, fake_root):
    run = postgresql.run(AFTER)
    assert not fake_root.exists("/etc/ssl/private/ssl-cert-snakeoil.key")
    assert run.enabled == {"trove-ssl-cert"}
    assert "make-ssl-cert generate-default-snakeoil\n" in fake_root.read("/etc/systemd/system/trove-ssl-cert.service")


def test_two_versions_are_refused(postgresql, fake_root):
    fake_root.mkdir("/usr/share/postgresql/17")
    run = postgresql.run(AFTER)
    assert run.exit_code == 1 and "one version of PostgreSQL in the image, not 2" in run.output


CLASSIC = {"TROVE_VERSION": "13.0.1"}


def test_the_classic_agent_finds_a_cluster_that_its_machine_has_made(postgresql, fake_root):
    assert postgresql.run(BEFORE, env=CLASSIC).ok
    assert fake_root.read("/etc/postgresql-common/createcluster.conf") == "create_main_cluster = false\n"
    run = postgresql.run(AFTER, env=CLASSIC)
    assert run.ok, run.output
    assert run.enabled == {"trove-ssl-cert", "trove-postgresql-cluster"}
    unit = fake_root.read("/etc/systemd/system/trove-postgresql-cluster.service")
    assert "ConditionPathExists=!/etc/postgresql/15/main\n" in unit and "Before=trove-guestagent.service\n" in unit
    assert "ExecStart=/usr/bin/pg_createcluster 15 main\n" in unit
    before = fake_root.read("/etc/systemd/system/trove-ssl-cert.service")
    assert "trove-postgresql-cluster.service" in before.split("Before=")[1].splitlines()[0]


def test_the_classic_agent_and_the_unit_mean_the_same_pid_file(postgresql, fake_root):
    """The agent says /var/run/postgresql/postgresql.pid; Debian's unit would wait for another one, without end."""
    assert postgresql.run(AFTER, env=CLASSIC).ok
    pid_file = "/run/postgresql/postgresql.pid"
    assert fake_root.read("/etc/systemd/system/postgresql@.service.d/trove.conf") == f"[Service]\nPIDFile={pid_file}\n"
    assert f"ExecStart=/usr/bin/pg_conftool 15 main set external_pid_file {pid_file}\n" in fake_root.read(
        "/etc/systemd/system/trove-postgresql-cluster.service")


def test_the_classic_agent_may_move_the_data_and_nothing_else(postgresql, fake_root):
    assert postgresql.run(AFTER, env=CLASSIC).ok
    last = fake_root.read("/etc/sudoers.d/61-trove-postgresql").splitlines()[-1]
    assert last.endswith(" --sparse /var/lib/postgresql/ /mnt/volume") and "/usr/bin/rsync --safe-links " in last
    assert "postgresql:classic_datastores.postgresql.Manager" in fake_root.read("/etc/trove/conf.d/zz-registry.conf")


@pytest.mark.parametrize("script", [BEFORE, AFTER])
def test_without_an_agent_it_is_debians(postgresql, script):
    run = postgresql.run(script, env={"TROVE_AGENT": "none"})
    assert run.ok and run.wrote == () and run.calls == ()
