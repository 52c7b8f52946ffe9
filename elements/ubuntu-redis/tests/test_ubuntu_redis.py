"""Redis on Ubuntu is configured as on Debian."""


def test_the_agent_starts_it_not_the_boot(fake_root, element, commands):
    fake_root.like("ubuntu-24.04")
    fake_root.write("/etc/redis/redis.conf", "port 6379\n")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/sysctl.d", "/etc/tmpfiles.d"):
        fake_root.mkdir(place)
    commands.fake("visudo", "install")
    commands.on("id").prints("107")
    run = element("ubuntu-redis", also=["ubuntu-guest"]).run("post-install.d/40-redis")
    assert run.ok, run.output
    assert run.called("systemctl", "disable", "redis-server.service")
    assert "include /etc/trove/redis/10-trove.conf" in fake_root.read("/etc/redis/redis.conf")
