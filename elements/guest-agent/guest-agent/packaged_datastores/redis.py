"""Redis, as Debian, Ubuntu and Fedora package it."""

from collections.abc import Mapping
from pathlib import Path

import redis
from trove.common import exception, utils
from trove.instance.service_status import ServiceStatuses

from packaged_datastores import base, option_files

FOLDER = Path("/etc/trove/redis")
PASSWORD_FILE = FOLDER / "30-password.conf"


def client(password: str | None = None) -> redis.Redis:
    """A connection to the database of this machine."""
    return redis.Redis(host="127.0.0.1", port=6379, password=password or saved_password(), socket_timeout=10)


def saved_password() -> str | None:
    """The password that clients need, or None."""
    words = PASSWORD_FILE.read_text().split() if PASSWORD_FILE.exists() else []
    return words[1].strip('"') if len(words) > 1 else None


def probe():
    """How Redis is, by its own answer."""
    try:
        client().ping()
    except redis.exceptions.BusyLoadingError:
        return ServiceStatuses.RUNNING
    except redis.exceptions.ConnectionError:
        return ServiceStatuses.SHUTDOWN
    except redis.exceptions.RedisError:
        return ServiceStatuses.CRASHED
    return ServiceStatuses.HEALTHY


class Admin:
    """Redis knows one user, whose password all clients need once there is one; no databases, and no further users."""

    def enable_root(self, root_password: str | None = None) -> dict:
        """Set that password; gives name and password."""
        password = root_password or utils.generate_random_password()
        if not password.isalnum():
            raise exception.UnprocessableEntity("a password for Redis consists of letters and digits")
        client().config_set("requirepass", password)
        PASSWORD_FILE.touch(mode=0o640)
        PASSWORD_FILE.write_text(f'requirepass "{password}"\n')
        return {"_name": "-", "_password": password}

    def disable_root(self) -> None:
        """Nobody needs a password any more."""
        client().config_set("requirepass", "")
        PASSWORD_FILE.write_text("")

    def __getattr__(self, name: str):
        def refuse(*_args, **_named):
            raise exception.DatastoreOperationNotSupported(operation=name, datastore="redis")
        return refuse

    def is_root_enabled(self) -> bool:
        """Whether there is a password."""
        return saved_password() is not None


class App(base.App):
    """Redis."""

    def as_text(self, overrides: Mapping) -> str:
        """Values as redis.conf has them."""
        return option_files.redis_values(overrides)


class Manager(base.Manager):
    """Redis."""

    def __init__(self) -> None:
        app = App(unit="redis-server.service", folder=FOLDER, status=base.Status(probe))
        super().__init__("redis", app=app, admin=Admin())
