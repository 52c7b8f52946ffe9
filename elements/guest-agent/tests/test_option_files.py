"""What Trove's controller says of a database's configuration, made to fit a database from packages."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parent.parent / "guest-agent/packaged_datastores/option_files.py"


@pytest.fixture(scope="module")
def option_files():
    """The module alone: the others need Trove."""
    spec = importlib.util.spec_from_file_location("option_files", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_mariadb_does_not_know_is_no_error(option_files):
    text = "[client]\nport = 3306\n# a comment\n\n[mysqld]\nskip-name-resolve\nmysqlx_port=33060\n"
    assert option_files.loosened(text) == ("[client]\nloose-port = 3306\n# a comment\n\n[mysqld]\n"
                                           "loose-skip-name-resolve\nloose-mysqlx_port=33060\n")


@pytest.mark.parametrize("line", [
    "datadir = /var/lib/mysql/data", "pid_file=/x", "secure-file-priv = NULL", "user=mysql",
    "!includedir /etc/mysql/conf.d", "log_error = /x", "tmpdir = /var/tmp"])
def test_where_things_lie_is_not_the_controllers_to_say(option_files, line):
    assert option_files.loosened(f"[mysqld]\n{line}\nserver_id = 5\n") == "[mysqld]\nloose-server_id = 5\n"


def test_postgresql_gets_no_further_files(option_files):
    text = "max_connections = 100\ninclude_dir = '/etc/postgresql/conf.d'\n  include 'x'\n#include 'y'\nport = 1"
    assert option_files.without_includes(text) == "max_connections = 100\n#include 'y'\nport = 1"


def test_configuration_groups(option_files):
    values = {"max_connections": 77, "search_path": "a'b"}
    assert option_files.mysql_values({"max_connections": 77}) == "[mysqld]\nmax_connections = 77\n"
    assert option_files.postgresql_values(values) == "max_connections = '77'\nsearch_path = 'a''b'\n"
    assert option_files.redis_values({"maxclients": 77}) == "maxclients 77\n"
