"""MariaDB, as Debian packages it, under the names `mysql` and `mariadb`."""

from collections.abc import Mapping
from pathlib import Path

import pymysql
import sqlalchemy
from sqlalchemy import exc
from trove.common import cfg, utils
from trove.guestagent.common import operating_system
from trove.guestagent.datastore.mysql import service
from trove.instance.service_status import ServiceStatuses

from packaged_datastores import base, option_files

CONF = cfg.CONF
DATA = "/var/lib/mysql/data"
SOCKET = "/run/mysqld/mysqld.sock"
CANNOT_CONNECT = (2002, 2003, 2006, 2013)
"""Error numbers of a client that finds no server (MariaDB's list of error codes)."""


class App(base.App):
    """MariaDB. The agent logs in through the socket under the name of its own user: there is no password to keep."""

    _engine = None

    def get_engine(self):
        """Where Trove's own code runs its statements."""
        if self._engine is None:
            user = operating_system.get_current_user()
            self._engine = sqlalchemy.create_engine(f"mysql+pymysql://{user}@localhost/?unix_socket={SOCKET}",
                                                    pool_pre_ping=True)
        return self._engine

    def fitting(self, text: str) -> str:
        """Trove's configuration is made for MySQL: what MariaDB does not know is no error (`loose-`)."""
        return option_files.loosened(text)

    def as_text(self, overrides: Mapping) -> str:
        """Values as an option file has them."""
        return option_files.mysql_values(overrides)


class Manager(base.Manager):
    """MariaDB."""

    def __init__(self) -> None:
        name = CONF.datastore_manager
        app = App(unit="mariadb.service", folder=Path("/etc/trove") / name, status=base.Status(self._probe))
        super().__init__(name, app=app, admin=service.MySqlAdmin(app))

    def create_cluster(self) -> None:
        """The system tables, unless the volume has them from an earlier guest."""
        if not operating_system.exists(f"{DATA}/mysql", is_directory=True, as_root=True):
            utils.execute_with_timeout(
                "mariadb-install-db", "--user=mysql", f"--datadir={DATA}", "--skip-test-db",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={operating_system.get_current_user()}",
                timeout=base.START_SECONDS, run_as_root=True, root_helper="sudo")

    def _probe(self):
        try:
            with self.app.get_engine().connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
        except exc.DBAPIError as problem:
            number = problem.orig.args[0] if isinstance(problem.orig, pymysql.Error) and problem.orig.args else 0
            return ServiceStatuses.SHUTDOWN if number in CANNOT_CONNECT else ServiceStatuses.CRASHED
        return ServiceStatuses.HEALTHY
