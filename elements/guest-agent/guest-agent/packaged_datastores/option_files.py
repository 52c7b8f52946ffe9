"""Configurations of databases that Trove's controller makes for containers, as they fit packages. Pure."""

import re
from collections.abc import Mapping

MYSQL_PLACES = ("basedir", "datadir", "socket", "pid-file", "tmpdir", "user", "log-error", "secure-file-priv")
"""Options that say where things lie in a container."""


def loosened(text: str) -> str:
    """An option file for MySQL as MariaDB takes it: options that it does not know are no error (`loose-`).

    >>> loosened("[mysqld]\\nmysqlx = 0\\ndatadir = /x\\n")
    '[mysqld]\\nloose-mysqlx = 0\\n'
    """
    lines = []
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        if name.replace("_", "-") in MYSQL_PLACES or name.startswith("!"):
            continue
        lines.append(f"loose-{line.strip()}" if name[:1].isalpha() else line)
    return "".join(f"{line}\n" for line in lines)


def without_includes(text: str) -> str:
    """A postgresql.conf without further files: which are included is said elsewhere."""
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(r"\s*include", line))


def mysql_values(values: Mapping) -> str:
    """A configuration group as MariaDB's option file."""
    return "[mysqld]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def postgresql_values(values: Mapping) -> str:
    """A configuration group as postgresql.conf has it."""
    return "".join("{} = '{}'\n".format(key, str(value).replace("'", "''")) for key, value in values.items())


def redis_values(values: Mapping) -> str:
    """A configuration group as redis.conf has it."""
    return "".join(f"{key} {value}\n" for key, value in values.items())
