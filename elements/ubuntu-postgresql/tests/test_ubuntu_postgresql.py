"""PostgreSQL on Ubuntu is configured as on Debian, for Ubuntu's version."""


def test_it_is_made_for_ubuntus_version(fake_root, element, commands):
    fake_root.like("ubuntu-24.04")
    for place in ("/etc/systemd/system", "/etc/trove/conf.d", "/etc/trove/postgresql", "/etc/sudoers.d",
                  "/usr/share/postgresql/16"):
        fake_root.mkdir(place)
    commands.fake("visudo")
    commands.on("install").does('if [ "${*: -2:1}" = /dev/stdin ]; then cat >"${*: -1}"; fi')
    commands.on("id").prints("104")
    run = element("ubuntu-postgresql", also=["ubuntu-guest"]).run("post-install.d/40-postgresql")
    assert run.ok, run.output
    machine = fake_root.read("/etc/trove/postgresql/90-machine.conf")
    assert "external_pid_file = '/run/postgresql/16-main.pid'\n" in machine
