"""The guest agent of Trove 13, the last whose own managers drive packages, under today's Python."""

import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
AGENT = HERE / "guest-agent"
WHEELS = "extra-data.d/30-guest-agent-wheels"
PROGRAM = "install.d/51-guest-agent-program"
SERVICE = "install.d/52-guest-agent-service"
REGISTER = "guest-agent/register-classic-datastore"
CLASSIC = {"TROVE_VERSION": "13.0.1"}


def test_trove_13_finds_the_abstract_classes_where_it_looks(tmp_path):
    """`collections.Iterable` and its like went with Python 3.10; the .pth file brings them back at each start."""
    ask = "import collections, sys; print(sorted(set(sys.argv[1:]) & set(dir(collections))))"
    names = ["Iterable", "Mapping"]  # those that trove 13.0.1 uses
    python = [sys.executable, "-I", "-c"]
    without = subprocess.run([*python, ask, *names], capture_output=True, text=True, check=True)
    assert without.stdout == "[]\n"
    begin = f"import site; site.addsitedir({str(AGENT / 'classic')!r}); "
    done = subprocess.run([*python, begin + ask, *names], capture_output=True, text=True, check=True)
    assert done.stdout == f"{names}\n"


class Server(threading.Thread):
    """As much of PostgreSQL as a client needs to log in; notes each statement, and answers SELECT with one row."""

    def __init__(self):
        super().__init__(daemon=True)
        self.statements = []
        self.ended = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]

    def run(self):
        while True:
            client, _ = self._door.accept()
            with client, client.makefile("rb") as stream:
                self._serve(client, stream)

    def _serve(self, client, stream):
        stream.read(struct.unpack("!I", stream.read(4))[0] - 4)
        ready = b"Z\0\0\0\5I"
        said = b"".join(b"S" + struct.pack("!I", 4 + len(pair)) + pair for pair in (
            b"client_encoding\0UTF8\0", b"server_version\x0015.0\0", b"standard_conforming_strings\0on\0",
            b"DateStyle\0ISO\0"))
        client.sendall(b"R\0\0\0\x08\0\0\0\0" + said + ready)
        while (kind := stream.read(1)) == b"Q":
            self.statements.append(stream.read(struct.unpack("!I", stream.read(4))[0] - 4).rstrip(b"\0").decode())
            rows = b""
            if self.statements[-1].startswith("SELECT"):
                rows = b"T" + struct.pack("!IH", 26, 1) + b"a\0" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0)
                rows += b"D" + struct.pack("!IHi", 12, 1, 2) + b"42"
            tag = self.statements[-1].split()[0].encode() + b"\0"
            client.sendall(rows + b"C" + struct.pack("!I", 4 + len(tag)) + tag + ready)
        self.ended += kind == b"X"


@pytest.fixture
def server():
    """It and how to reach it."""
    server = Server()
    server.start()
    return server


def test_databases_are_made_outside_of_transactions(server):
    """psycopg2 begins one in `with connection` since 2.9, and PostgreSQL refuses CREATE DATABASE in it."""
    program = """if True:
        import sys
        from classic_datastores import statements
        place = dict(host="127.0.0.1", port=sys.argv[1], user="x", sslmode="disable", gssencmode="disable")
        statements.run(place, "CREATE DATABASE d")
        print(statements.run(place, "SELECT %s", (1,), fetch=True))
    """
    done = subprocess.run([sys.executable, "-B", "-c", program, str(server.port)], capture_output=True, text=True,
                          check=False, cwd=AGENT, timeout=60)
    assert (done.stdout, done.stderr) == ("[('42',)]\n", "")
    assert server.statements == ["CREATE DATABASE d", "SELECT 1"]
    assert server.ended == 2


def test_troves_own_way_begins_a_transaction(server):
    """What is mended is broken: the statement that Trove 13 runs, with the psycopg2 of the pinned set."""
    import psycopg2

    assert f"psycopg2-binary=={psycopg2.__version__.split()[0]} " in (AGENT / "requirements/13.0.1.txt").read_text()
    with psycopg2.connect(host="127.0.0.1", port=server.port, user="x", sslmode="disable",
                          gssencmode="disable") as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE d")
    connection.close()
    assert server.statements[0].startswith("BEGIN")


def test_the_pinned_releases_are_those_that_work_with_trove_13():
    text = (AGENT / "requirements/13.0.1.txt").read_text()
    for pinned in ("trove==13.0.1", "oslo-db==8.6.0", "alembic==1.7.7", "python-cinderclient==7.4.1"):
        assert re.search(rf"^{re.escape(pinned)} ", text, re.MULTILINE)
    assert re.search(r"^sqlalchemy==1\.3\.24 ", (AGENT / "requirements/python3.9/13.0.1.txt").read_text(), re.MULTILINE)


@pytest.fixture
def host(fake_root, commands, element, tmp_path):
    """A build host whose pip writes down how it was called."""
    fake_root.like("debian-12")
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\nshift; [ "$1" = pip ] && shift; exec pip "$@"\n')
    python.chmod(0o755)
    commands.on("pip", "download").does('while [ "$1" != --dest ]; do shift; done; touch "$2/pip-26.3.whl"')
    under_test = element("guest-agent")

    def run(version):
        fake_root.mkdir(f"/usr/lib/python{version}")
        return under_test.run(WHEELS, env={"DIB_PYTHON_EXEC": str(python), "ARCH": "amd64", **CLASSIC})

    return run


def test_what_has_wheels_for_an_older_python_only_is_fetched_for_that(host):
    run = host("3.11")
    assert run.ok, run.output
    fetched = [call.args for call in run.calls if "download" in call.args]
    assert [args[args.index("--python-version") + 1] for args in fetched] == ["3.11", "3.9"]
    assert [args[args.index("--abi") + 1] for args in fetched] == ["cp311", "cp39"]
    assert fetched[1][-1].endswith("/requirements/python3.9/13.0.1.txt")
    assert all("--require-hashes" in args and ":all:" in args for args in fetched)


def test_another_python_is_refused_before_anything_is_fetched(host):
    run = host("3.13")
    assert run.exit_code == 1 and not run.called("pip", "download")
    assert "trove 13.0.1 runs under Python 3.11, not 3.13; build on Debian bookworm" in run.output


def test_the_program_is_installed_with_what_it_needs_today(venv, element, commands):
    commands.on("python3", "-m", "venv")
    commands.on("uname", "-m").prints("x86_64")
    site = "/opt/guest-agent-venv/lib/python3.11/site-packages"
    venv.write(f"{site}/sqlalchemy/cutils.cpython-39-x86_64-linux-gnu.so", "x")
    run = element("guest-agent").run(PROGRAM, env=CLASSIC)
    assert run.ok, run.output
    first, second = venv.read("/tmp/pip-was-called").splitlines()
    assert first.endswith("/requirements/13.0.1.txt") and "--python-version" not in first
    assert second.endswith(f" --target {site} --requirement {second.rpartition(' ')[2]}")
    assert " --python-version 3.9 " in second and second.endswith("/requirements/python3.9/13.0.1.txt")
    assert not venv.exists(f"{site}/sqlalchemy/cutils.cpython-39-x86_64-linux-gnu.so")
    assert venv.read(f"{site}/collections_as_before.pth") == "import collections_as_before\n"
    assert venv.exists(f"{site}/collections_as_before.py") and venv.exists(f"{site}/classic_datastores/postgresql.py")
    assert not venv.exists(f"{site}/packaged_datastores")


def test_sudo_allows_what_this_agent_runs(venv, element, commands):
    commands.fake("visudo")
    for place in ("/etc/trove/conf.d", "/etc/sudoers.d", "/etc/logrotate.d", "/etc/systemd/system"):
        venv.mkdir(place)
    run = element("guest-agent").run(SERVICE, env=CLASSIC)
    assert run.ok, run.output
    rules = venv.read("/etc/sudoers.d/60-trove-guestagent")
    assert rules.splitlines()[-1] == "trove ALL=(root) NOPASSWD: TROVE_VOLUME, TROVE_FILES, TROVE_CLASSIC"
    assert "/usr/sbin/dumpe2fs" in rules and "useradd" not in rules
    assert not re.search(r"NOPASSWD: *ALL", rules)


@pytest.mark.parametrize(("name", "registered"), [
    ("redis", None),
    ("postgresql", "[DEFAULT]\ndatastore_registry_ext = postgresql:classic_datastores.postgresql.Manager\n"),
])
def test_a_database_is_registered(venv, element, commands, name, registered):
    commands.fake("visudo")
    venv.mkdir("/etc/trove/conf.d")
    venv.mkdir("/etc/sudoers.d")
    run = element("guest-agent").run_with(REGISTER, name, "a-service", "/usr/bin/make-it x", side="target")
    assert run.ok, run.output
    file = "/etc/trove/conf.d/zz-registry.conf"
    assert (venv.read(file) if venv.exists(file) else None) == registered
    rule = "trove ALL=(root) NOPASSWD: "
    assert venv.read(f"/etc/sudoers.d/61-trove-{name}").splitlines() == [rule + command for command in (
        "/usr/sbin/service a-service start", "/usr/sbin/service a-service stop",
        "/usr/sbin/update-rc.d a-service defaults", "/usr/sbin/update-rc.d a-service enable",
        "/usr/sbin/update-rc.d a-service disable", "/usr/bin/make-it x")]


def test_registering_needs_two_words(venv, element):
    run = element("guest-agent").run_with(REGISTER, "redis", side="target")
    assert run.exit_code == 2 and run.output.startswith("usage: ")
