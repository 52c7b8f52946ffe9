"""Whether a database answers, asked by a client of its own kind through the forwarded port."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydib.errors import EngineError, ToolMissing

_SECONDS = 20.0
USER, DATABASE = "pydib", "pydib"
"""What `prepare` is asked to make in databases that know users."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """A kind of database.

    Args:
        port: where it listens in the guest.
        question: what is asked, for people.
        ask: asks it at a port of our loopback address, with the user's password; gives the answer.
        expected: the right answer.
        has_users: whether `prepare` makes a database and a user for the question.
    """

    port: int
    question: str
    ask: Callable[[int, str], str]
    expected: str
    has_users: bool = True


def _redis(port: int, _password: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        connection.sendall(b"PING\r\n")
        return connection.makefile("rb").readline().decode(errors="replace").strip().removeprefix("+")


def _mysql(port: int, password: str) -> str:
    try:
        import pymysql
    except ImportError:
        raise _missing("PyMySQL") from None
    connection = pymysql.connect(host="127.0.0.1", port=port, user=USER, password=password, database=DATABASE,
                                 connect_timeout=int(_SECONDS), read_timeout=_SECONDS)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 6 * 7")
        return str(*(cursor.fetchone() or ("nothing",)))


def _postgresql(port: int, password: str) -> str:
    try:
        import pg8000.native
    except ImportError:
        raise _missing("pg8000") from None
    connection = pg8000.native.Connection(USER, host="127.0.0.1", port=port, password=password, database=DATABASE,
                                          timeout=_SECONDS)
    try:
        return str(connection.run("SELECT 6 * 7")[0][0])
    finally:
        connection.close()


def _missing(library: str) -> ToolMissing:
    return ToolMissing(f"asking this database needs {library}", hint="install it: pip install 'pydib[trove]'")


_MYSQL = Database(port=3306, question="SELECT 6 * 7", ask=_mysql, expected="42")
DATABASES: Mapping[str, Database] = {
    "redis": Database(port=6379, question="PING", ask=_redis, expected="PONG", has_users=False),
    "mysql": _MYSQL, "mariadb": _MYSQL, "percona": _MYSQL, "pxc": _MYSQL,
    "postgresql": Database(port=5432, question="SELECT 6 * 7", ask=_postgresql, expected="42"),
}
"""By the datastore's name in Trove."""


def ask(database: Database, port: int, password: str) -> str:
    """The database's answer.

    Raises:
        EngineError: there is none, or a wrong one.
        ToolMissing: the client's library is not installed.
    """
    try:
        answer = database.ask(port, password)
    except ToolMissing:
        raise
    except Exception as problem:  # each library has a family of errors of its own
        raise EngineError(f"the database does not answer `{database.question}`: {problem}") from None
    if answer != database.expected:
        raise EngineError(f"the database answers `{database.question}` with `{answer}`, not `{database.expected}`")
    return answer
