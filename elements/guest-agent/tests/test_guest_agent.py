"""The guest agent in the image: its packages, its user, its service, and what it may do."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent.parent
REQUIREMENTS = HERE / "guest-agent/requirements"
WHEELS = "extra-data.d/30-guest-agent-wheels"
USER = "install.d/50-guest-agent-user"
PROGRAM = "install.d/51-guest-agent-program"
SERVICE = "install.d/52-guest-agent-service"
KEY = "extra-data.d/62-guest-agent-key"
SYNC = "install.d/53-guest-agent-sync"
ADD = 'u=${*: -1}; echo "$u:x:999:999::/home/$u:/bin/bash" >>/etc/passwd'
FETCH = 'while [ "$1" != --dest ]; do shift; done; touch "$2/trove-26.0.0.whl" "$2/pip-26.3.whl"'


@pytest.fixture
def host(fake_root, commands, element, tmp_path):
    """A build host whose pip writes down how it was called."""
    fake_root.like("debian-12")
    for name in ("python3.11", "python3"):
        fake_root.mkdir(f"/usr/lib/{name}")
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\nshift; [ "$1" = pip ] && shift; exec pip "$@"\n')
    python.chmod(0o755)
    commands.on("pip", "download").does(FETCH)
    under_test = element("guest-agent")

    def run(**env):
        return under_test.run(WHEELS, env={"DIB_PYTHON_EXEC": str(python), "ARCH": "amd64", **env})

    return run


def test_packages_are_fetched_once_for_the_images_python(host, fake_root):
    run = host()
    assert run.ok, run.output
    call = next(call for call in run.calls if "download" in call.args)
    for words in (("--python-version", "3.11"), ("--abi", "cp311"), ("--platform", "manylinux2014_x86_64"),
                  ("--only-binary", ":all:")):
        assert words in list(zip(call.args, call.args[1:], strict=False))
    assert "--require-hashes" in call.args
    kept = list((fake_root.base / "cache/guest-agent").iterdir())
    assert len(kept) == 1 and not kept[0].name.startswith(".")
    assert not host().called("pip", "download")
    assert not host(DIB_OFFLINE="1").called("pip", "download")


@pytest.mark.parametrize(("env", "problem"), [
    ({"TROVE_VERSION": "9.0.0"},
     "no set of pinned packages for trove 9.0.0; set TROVE_VERSION to one of: 13.0.1 26.0.0"),
    ({"ARCH": "s390x"}, "no ready-made packages for the architecture s390x; use amd64 or arm64"),
    ({"DIB_OFFLINE": "1"}, "DIB_OFFLINE forbids to fetch it"),
])
def test_what_cannot_be_is_said(host, env, problem):
    run = host(**env)
    assert run.exit_code == 1
    assert problem in run.output


def test_a_python_that_is_too_old_is_named(fake_root, element):
    fake_root.like("debian-11")
    fake_root.mkdir("/other/usr/lib/python3.9")  # the root itself has the Python of these tests
    run = element("guest-agent").run(WHEELS, env={"TMP_MOUNT_PATH": str(fake_root.path("/other"))})
    assert run.exit_code == 1
    assert "trove 26.0.0 needs Python 3.11, and the image has 3.9; build on a later release" in run.output


def test_a_machine_without_pip_is_told_what_to_install(host, commands):
    commands.on("pip", "--version").exits(1)
    commands.on("python3", "-m", "pip").exits(1)
    run = host()
    assert run.exit_code == 1 and "apt-get install python3-pip" in run.output


def test_a_failed_download_leaves_nothing(host, fake_root, commands):
    commands.on("pip", "download").exits(1).complains("no route")
    run = host(ARCH="arm64")
    assert run.exit_code == 1
    assert "no route" in run.output and "PIP_INDEX_URL" in run.output
    assert list((fake_root.base / "cache/guest-agent").iterdir()) == []


@pytest.mark.parametrize("script", [WHEELS, USER, PROGRAM, SERVICE, KEY, SYNC])
def test_without_an_agent_nothing_happens(fake_root, element, script):
    fake_root.like("debian-12")
    run = element("guest-agent").run(script, env={"TROVE_AGENT": "none"})
    assert run.ok and run.wrote == () and run.calls == ()


def test_every_pinned_package_has_checksums():
    for file in REQUIREMENTS.rglob("*.txt"):
        blocks = re.split(r"\n(?=\S)", file.read_text().strip())
        assert all("==" in block and "--hash=sha256:" in block for block in blocks), file
    assert re.search(r"^trove==26\.0\.0 ", (REQUIREMENTS / "26.0.0.txt").read_text(), re.MULTILINE)


def test_the_user_has_no_password_and_nobody_else_gets_1001(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("useradd").does(ADD)
    commands.fake("install", "chown")
    run = element("guest-agent").run(USER)
    assert run.ok, run.output
    assert run.called("useradd", "--system", "--create-home", "trove")
    assert run.called("groupadd", "--gid", "1001", "database")
    assert run.called("useradd", "--uid", "1001", "--gid", "1001", "database")
    assert not run.called("chpasswd") and not run.called("passwd")
    assert run.called("install", "-m", "0750", "-o", "root", "-g", "trove", "/etc/trove/conf.d")
    assert run.called("install", "-o", "trove", "/var/log/trove", "/opt/trove-guestagent")


def test_users_who_are_there_stay(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("install")
    for name in ("passwd", "group"):
        text = fake_root.read(f"/etc/{name}")
        fake_root.write(f"/etc/{name}", text + "me:x:1000:1000::/home/me:/bin/sh\ndatabase:x:1001:1001::/:/bin/sh\n")
    run = element("guest-agent").run(USER, env={"GUEST_USERNAME": "me"})
    assert run.ok, run.output
    assert not run.called("useradd") and not run.called("groupadd")


def test_root_is_no_user_for_the_agent(fake_root, element):
    fake_root.like("debian-12")
    run = element("guest-agent").run(USER, env={"GUEST_USERNAME": "root"})
    assert run.exit_code == 1 and "GUEST_USERNAME is root" in run.output


def test_the_program_is_installed_from_the_fetched_packages_only(venv, element, commands):
    commands.on("python3", "-m", "venv")
    site = "/opt/guest-agent-venv/lib/python3.11/site-packages"
    venv.write(f"{site}/trove/main.py", "x = 1\n")
    venv.write(f"{site}/trove/tests/test_x.py", "y = 1\n")
    run = element("guest-agent").run(PROGRAM)
    assert run.ok, run.output
    assert run.called("python3", "-m", "venv", "--without-pip", "/opt/guest-agent-venv")
    asked = venv.read("/tmp/pip-was-called")
    for word in ("--no-index", "--require-hashes", "--no-deps", "--no-compile"):
        assert f" {word} " in asked
    assert asked.rstrip().endswith("/requirements/26.0.0.txt")
    assert not venv.exists(f"{site}/trove/tests")
    assert venv.exists(f"{site}/packaged_datastores/redis.py")
    assert venv.read("/tmp/compiled").split() == ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", site]
    assert venv.link("/usr/local/bin/trove-guestagent") == "/opt/guest-agent-venv/bin/trove-guestagent"


@pytest.fixture
def service(venv, element, commands):
    """The service, installed for another user than the usual one."""
    commands.fake("visudo")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/logrotate.d", "/etc/systemd/system"):
        venv.mkdir(place)
    run = element("guest-agent").run(SERVICE, env={"GUEST_USERNAME": "guest", "GUEST_LOGDIR": "/var/log/t/"})
    assert run.ok, run.output
    return run


def unit(fake_root, name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(fake_root.read(f"/etc/systemd/system/{name}"))
    return parser


def test_the_agent_starts_when_it_is_configured(service, fake_root):
    assert service.enabled == {"trove-guestagent.path", "trove-guestagent-waits"}
    info = "/etc/trove/conf.d/guest_info.conf"
    assert unit(fake_root, "trove-guestagent.path")["Path"]["PathExists"] == info
    agent = unit(fake_root, "trove-guestagent.service")
    assert agent["Unit"]["ConditionPathExists"] == info
    assert agent["Service"]["User"] == "guest"
    assert agent["Service"]["ExecStart"] == "/usr/local/bin/trove-guestagent --config-dir=/etc/trove/conf.d"
    assert "cloud-init.service" in agent["Unit"]["After"]
    assert "cloud-final" not in agent["Unit"]["After"]


def test_what_cloud_init_writes_for_root_only_the_agent_may_read(service, fake_root):
    text = fake_root.read("/etc/systemd/system/trove-guestagent.service")
    assert "ExecStartPre=+/usr/bin/chown -R root:guest /etc/trove/conf.d\n" in text
    assert "ExecStartPre=+/usr/bin/chmod -R u=rwX,g=rX,o= /etc/trove/conf.d\n" in text


def test_an_agent_without_configuration_says_so_on_the_console(service, fake_root):
    waits = unit(fake_root, "trove-guestagent-waits.service")
    assert waits["Unit"]["ConditionPathExists"] == "!/etc/trove/conf.d/guest_info.conf"
    assert "there is no /etc/trove/conf.d/guest_info.conf" in waits["Service"]["ExecStart"]
    assert waits["Service"]["StandardOutput"] == "journal+console"


def test_what_trove_injects_wins_over_the_image(service, fake_root):
    assert "log_dir = /var/log/t/\n" in fake_root.read("/etc/trove/conf.d/00-image.conf")
    assert "control_exchange = trove\n" in fake_root.read("/etc/trove/conf.d/00-image.conf")
    assert sorted(["00-image.conf", "guest_info.conf", "trove-guestagent.conf", "zz-redis.conf"])[0] == "00-image.conf"


def test_sudo_allows_the_volume_and_not_everything(service, fake_root):
    rules = fake_root.read("/etc/sudoers.d/60-trove-guestagent")
    assert fake_root.mode("/etc/sudoers.d/60-trove-guestagent") == 0o440
    assert rules.splitlines()[-1] == "guest ALL=(root) NOPASSWD: TROVE_VOLUME, TROVE_FILES, TROVE_USERS"
    assert not re.search(r"NOPASSWD: *ALL", rules)
    for program in ("mkfs", "mount", "blkid", "blockdev"):
        assert re.search(rf"bin/{program}\b", rules)
    assert service.called("visudo", "--check")


def test_logs_are_rotated_and_sudo_needs_no_name_server(service, fake_root):
    assert fake_root.read("/etc/logrotate.d/trove-guestagent").startswith("/var/log/t/*.log {\n")
    hosts = fake_root.read("/etc/cloud/cloud.cfg.d/94-guest-agent-etc-hosts.cfg")
    assert hosts == "manage_etc_hosts: localhost\n"


def test_no_host_key_is_made_that_nobody_takes(service, fake_root):
    keys = yaml.safe_load(fake_root.read("/etc/cloud/cloud.cfg.d/94-guest-agent-host-keys.cfg"))
    assert keys == {"ssh_genkeytypes": ["ed25519", "ecdsa", "rsa"]}


CONTROLLER = {"TROVE_AGENT": "sync", "CONTROLLER_IP": "10.0.0.1", "HOST_SCP_USERNAME": "me", "TROVE_SSH_PORT": "2222",
              "PATH_TROVE": "/opt/my trove; reboot"}


def test_a_key_goes_into_the_image_only_when_it_was_asked_for(venv, element, commands, tmp_path):
    passwd = venv.read("/etc/passwd")
    venv.write("/etc/passwd", passwd + "trove:x:0:0::/home/trove:/bin/sh\n")
    group = venv.read("/etc/group")
    venv.write("/etc/group", group + "trove:x:0:\n")
    venv.mkdir("/etc/systemd/system")
    venv.mkdir("/etc/trove")
    (tmp_path / "id_rsa").write_text("the key\n")
    under_test = element("guest-agent")
    run = under_test.run(KEY, env={**CONTROLLER, "SSH_DIR": str(tmp_path)})
    assert run.ok and "WARNING: the private key" in run.output, run.output
    run = under_test.run(SYNC, env=CONTROLLER)
    assert run.ok, run.output
    assert venv.read("/home/trove/.ssh/id_rsa") == "the key\n"
    assert venv.mode("/home/trove/.ssh/id_rsa") == 0o600
    assert venv.exists("/usr/local/bin/trove-guestagent-sync")
    assert "PATH_TROVE='/opt/my trove; reboot'\n" in venv.read("/etc/trove/sync.env")
    drop_in = venv.read("/etc/systemd/system/trove-guestagent.service.d/sync.conf")
    assert "ExecStartPre=/usr/local/bin/trove-guestagent-sync\n" in drop_in
    assert "Environment=PYTHONPATH=/home/trove/trove\n" in drop_in


def test_the_tree_is_fetched_once(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("rsync")
    under_test = element("guest-agent")
    run = under_test.run_with("guest-agent/trove-guestagent-sync", side="target", env=CONTROLLER)
    assert run.ok, run.output
    assert run.calls[0].args[-2:] == ("me@10.0.0.1:/opt/my trove; reboot/", "/root/trove/")
    assert "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -p 2222" in run.calls[0].args
    again = under_test.run_with("guest-agent/trove-guestagent-sync", side="target", env=CONTROLLER)
    assert again.ok and again.calls == ()


def test_a_tree_that_cannot_be_fetched_is_tried_again(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("rsync").exits(12)
    run = element("guest-agent").run_with("guest-agent/trove-guestagent-sync", side="target", env=CONTROLLER)
    assert run.exit_code == 12 and not fake_root.exists("/root/trove-installed")


def test_sync_names_all_that_it_lacks(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    under_test = element("guest-agent")
    run = under_test.run(KEY, env={"TROVE_AGENT": "sync", "CONTROLLER_IP": "1"})
    assert run.exit_code == 1
    assert "TROVE_AGENT=sync needs SSH_DIR HOST_SCP_USERNAME PATH_TROVE\n" in run.output
    run = under_test.run(KEY, env={**CONTROLLER, "SSH_DIR": str(tmp_path)})
    assert run.exit_code == 1 and f"there is no {tmp_path}/id_rsa" in run.output


REGISTER = "guest-agent/register-datastore"


def test_a_database_is_registered(venv, element, commands):
    commands.on("id", "-u").prints("107")
    commands.on("id", "-g").prints("108")
    commands.fake("visudo", "install")
    venv.mkdir("/etc/trove/conf.d")
    venv.mkdir("/etc/sudoers.d")
    run = element("guest-agent").run_with(REGISTER, "redis", "redis", "/var/lib/redis", "redis-server.service",
                                          "/usr/bin/make-it x", side="target")
    assert run.ok, run.output
    parser = configparser.ConfigParser()
    parser.read_string(venv.read("/etc/trove/conf.d/zz-redis.conf"))
    assert parser["redis"]["database_service_uid"] == "107"
    assert parser["redis"]["database_service_gid"] == "108"
    assert parser["redis"]["database_service_uname"] == "redis"
    assert parser["redis"]["mount_point"] == "/var/lib/redis"
    rules = venv.read("/etc/sudoers.d/61-trove-redis").splitlines()
    assert rules[0] == "trove ALL=(root) NOPASSWD: /usr/bin/systemctl start redis-server.service"
    assert rules[-1] == "trove ALL=(root) NOPASSWD: /usr/bin/make-it x"
    assert len(rules) == 6
    assert run.called("install", "-d", "-o", "trove", "-g", "redis", "/etc/trove/redis")


def test_an_image_may_hold_two_databases(venv, element, commands):
    commands.on("id").prints("107")
    commands.fake("visudo", "install")
    venv.mkdir("/etc/trove/conf.d")
    venv.mkdir("/etc/sudoers.d")
    under_test = element("guest-agent")
    for name in ("redis", "mysql"):
        assert under_test.run_with(REGISTER, name, name, f"/var/lib/{name}", f"{name}.service", side="target").ok
    assert venv.read("/etc/trove/conf.d/zz-registry.conf") == (
        "[DEFAULT]\ndatastore_registry_ext = redis:packaged_datastores.redis.Manager,"
        "mysql:packaged_datastores.mysql.Manager\n")


def test_registering_needs_four_words(venv, element):
    run = element("guest-agent").run_with(REGISTER, "redis", side="target")
    assert run.exit_code == 2 and run.output.startswith("usage: ")
