"""Redis that waits for the guest agent."""

import pytest

SCRIPT = "post-install.d/40-redis"


@pytest.fixture
def redis(fake_root, element, commands):
    fake_root.like("debian-12")
    fake_root.write("/etc/redis/redis.conf", "bind 127.0.0.1 -::1\nprotected-mode yes\nport 6379\n")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/sysctl.d", "/etc/tmpfiles.d"):
        fake_root.mkdir(place)
    commands.fake("visudo", "install")
    commands.on("id").prints("107")
    return element("debian-redis", also=["guest-agent"])


def test_the_agent_starts_it_not_the_boot(redis):
    run = redis.run(SCRIPT)
    assert run.ok, run.output
    assert run.called("systemctl", "disable", "redis-server.service")
    assert run.enabled == set()


def test_the_machines_needs_come_after_troves_wishes(redis, fake_root):
    assert redis.run(SCRIPT).ok
    lines = fake_root.read("/etc/redis/redis.conf").splitlines()
    wishes = [line for line in lines if line.startswith("include ")]
    assert wishes == [f"include /etc/trove/redis/{name}.conf" for name in ("10-trove", "20-overrides", "30-password")]
    last = {line.split()[0]: line for line in lines if line and line.split()[0] != "include"}
    assert last["dir"] == "dir /var/lib/redis" and lines.index(last["dir"]) > lines.index(wishes[-1])
    assert last["bind"] == "bind * -::*" and last["protected-mode"] == "protected-mode no"


def test_the_agent_knows_it(redis, fake_root):
    assert redis.run(SCRIPT, env={"GUEST_USERNAME": "me"}).ok
    known = fake_root.read("/etc/trove/conf.d/zz-redis.conf")
    assert "= redis:packaged_datastores.redis.Manager\n" in fake_root.read("/etc/trove/conf.d/zz-registry.conf")
    assert "database_service_uid = 107\n" in known and "mount_point = /var/lib/redis\n" in known
    rules = fake_root.read("/etc/sudoers.d/61-trove-redis")
    assert "me ALL=(root) NOPASSWD: /usr/bin/systemctl start redis-server.service\n" in rules


def test_kernel_settings(redis, fake_root):
    assert redis.run(SCRIPT).ok
    assert "vm.overcommit_memory = 1\n" in fake_root.read("/etc/sysctl.d/60-trove-redis.conf")
    assert "transparent_hugepage" in fake_root.read("/etc/tmpfiles.d/trove-redis.conf")


def test_the_classic_agent_finds_it_as_debian_has_it(redis, fake_root):
    before = fake_root.read("/etc/redis/redis.conf")
    run = redis.run(SCRIPT, env={"TROVE_VERSION": "13.0.1"})
    assert run.ok, run.output
    assert fake_root.read("/etc/redis/redis.conf") == before
    assert not run.called("systemctl", "disable")
    assert not fake_root.exists("/etc/trove/conf.d/zz-registry.conf")
    assert "trove ALL=(root) NOPASSWD: /usr/sbin/service redis-server start\n" in fake_root.read(
        "/etc/sudoers.d/61-trove-redis")
    assert fake_root.exists("/etc/sysctl.d/60-trove-redis.conf")


def test_without_an_agent_it_is_debians(fake_root, element, redis):
    run = redis.run(SCRIPT, env={"TROVE_AGENT": "none"})
    assert run.ok and run.wrote == () and run.calls == ()
