"""PostgreSQL, as Debian packages it."""

from pathlib import Path

import psycopg2
from trove.common import utils
from trove.guestagent.datastore.postgres import service
from trove.instance.service_status import ServiceStatuses

from packaged_datastores import base, option_files

FOLDER = Path("/etc/trove/postgresql")
ADMIN = "postgres"


def version() -> str:
    """The version in this image."""
    return max((path.name for path in Path("/usr/lib/postgresql").iterdir()), key=int)


class App(base.App):
    """PostgreSQL. The agent logs in through the socket; pg_ident.conf lets its user be the administrator."""

    def fitting(self, text: str) -> str:
        """Without further files: what is included is named by postgresql.conf."""
        return option_files.without_includes(text)

    def as_text(self, overrides) -> str:
        """Values as postgresql.conf has them."""
        return option_files.postgresql_values(overrides)


class Admin(service.PgSqlAdmin):
    """Trove's own, and what it leaves out."""

    def is_root_enabled(self) -> bool:
        """Whether `enable_root` has made the user root."""
        return bool(self.query("SELECT 1 FROM pg_catalog.pg_user WHERE usename = 'root' AND usesuper"))


class Manager(base.Manager):
    """PostgreSQL."""

    def __init__(self) -> None:
        app = App(unit=f"postgresql@{version()}-main.service", folder=FOLDER, status=base.Status(self._probe))
        super().__init__("postgresql", app=app, admin=Admin(ADMIN))

    def create_cluster(self) -> None:
        """A cluster on the volume, unless it has one in this guest already."""
        if not Path(f"/etc/postgresql/{version()}/main").exists():
            utils.execute_with_timeout("pg_createcluster", version(), "main", timeout=base.START_SECONDS,
                                       run_as_root=True, root_helper="sudo")

    def _probe(self):
        try:
            self.adm.query("SELECT 1")
        except psycopg2.OperationalError as problem:
            return ServiceStatuses.RUNNING if "starting up" in str(problem) else ServiceStatuses.SHUTDOWN
        except psycopg2.Error:
            return ServiceStatuses.CRASHED
        return ServiceStatuses.HEALTHY
