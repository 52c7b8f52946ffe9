"""What the managers have in common: a database that is a service of systemd, asked how it is by a probe of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

from oslo_log import log as logging
from trove.common import cfg, exception, utils
from trove.guestagent.datastore import manager, service
from trove.instance.service_status import ServiceStatuses

CONF = cfg.CONF
LOG = logging.getLogger(__name__)
START_SECONDS = 300


class Status(service.BaseDbStatus):
    """How the database is: what `probe` says, which asks the database itself."""

    def __init__(self, probe: Callable) -> None:
        super().__init__(docker_client=None)
        self._probe = probe

    def get_actual_db_status(self):
        """One of ServiceStatuses."""
        return self._probe()


class App:
    """The database as a service.

    Args:
        unit: systemd's name of it. The image's sudo rules let the agent start, stop, restart, enable and disable it.
        folder: where its configuration includes what Trove says, `10-trove.conf` and over it `20-overrides.conf`;
            the agent may write there.
        status: how it is.
    """

    def __init__(self, *, unit: str, folder: Path, status: Status) -> None:
        self.unit = unit
        self.folder = folder
        self.status = status

    def systemctl(self, verb: str) -> None:
        """`systemctl VERB UNIT`, as root."""
        utils.execute_with_timeout("systemctl", verb, self.unit, timeout=START_SECONDS, run_as_root=True,
                                   root_helper="sudo")

    def start_db(self, update_db: bool = False) -> None:
        """Start it, now and at each boot, and wait until it answers."""
        self.systemctl("enable")
        self.systemctl("start")
        self._wait(ServiceStatuses.HEALTHY, "start", update_db)

    def stop_db(self, update_db: bool = False) -> None:
        """Stop it, and wait until it is down."""
        self.systemctl("stop")
        self._wait(ServiceStatuses.SHUTDOWN, "stop", update_db)

    def restart(self) -> None:
        """Restart it, and wait until it answers."""
        self.systemctl("restart")
        self._wait(ServiceStatuses.HEALTHY, "restart", True)

    def reset_configuration(self, configuration) -> None:
        """Take the configuration that Trove's controller has made."""
        text = configuration["config_contents"] if isinstance(configuration, Mapping) else configuration
        self.write("10-trove.conf", self.fitting(text or ""))

    def fitting(self, text: str) -> str:
        """The controller's configuration, made for containers, as it fits this machine."""
        return text

    def start_db_with_conf_changes(self, config_contents, ds_version) -> None:
        """Start it with another configuration, after the flavor was changed."""
        if self.status.is_running:
            self.stop_db()
        self.reset_configuration(config_contents)
        self.start_db(update_db=True)

    def update_overrides(self, overrides) -> None:
        """Take the values of a user's configuration group, over those that are there."""
        if overrides:
            self.write("20-overrides.conf", self.as_text(overrides))

    def remove_overrides(self) -> None:
        """Forget the user's values."""
        self.write("20-overrides.conf", "")

    def write(self, name: str, text: str) -> None:
        """Write a file that the database's configuration includes."""
        (self.folder / name).write_text(text)

    def as_text(self, overrides: Mapping) -> str:
        """Values as the database's configuration has them."""
        raise NotImplementedError

    def _wait(self, status, verb: str, update_db: bool) -> None:
        if not self.status.wait_for_status(status, CONF.state_change_wait_time, update_db):
            raise exception.TroveError(f"{self.unit} did not {verb}; see its journal")


class Manager(manager.Manager):
    """A manager without containers. Backups need those, so they are refused."""

    docker_client = None

    def __init__(self, name: str, *, app: App, admin: object) -> None:
        super().__init__(name)
        self.app = app
        self.status = app.status
        self.adm = admin

    def do_prepare(self, context, packages, databases, memory_mb, users, device_path, mount_point, backup_info,
                   config_contents, root_password, overrides, cluster_config, snapshot, ds_version=None):
        """Bring the database up, on the volume that the agent has mounted."""
        if backup_info or snapshot:
            self._refuse("restore")
        self.app.reset_configuration(config_contents)  # first: sizes of files must be what the cluster is made with
        self.app.update_overrides(overrides)
        self.create_cluster()
        self.app.start_db()
        self.secure()

    def create_cluster(self) -> None:
        """Make on the volume what the database needs before its first start."""

    def secure(self) -> None:
        """Do what is to be done after the first start."""

    def apply_overrides(self, context, overrides):
        """A user's values count after a restart only."""
        LOG.info("The new values count after the next restart.")

    def create_backup(self, context, backup_info):
        """Refused."""
        self._refuse("create_backup")

    def _refuse(self, operation: str):
        raise exception.DatastoreOperationNotSupported(operation=operation, datastore=self.manager)
