"""What a freshly made guest is told, as Trove's task manager would do it: guest_info.conf and trove-guestagent.conf."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from pydib import template
from pydib.verify.seed import Seed

GUEST_INFO = "/etc/trove/conf.d/guest_info.conf"
AGENT_CONFIGURATION = "/etc/trove/conf.d/trove-guestagent.conf"
HOST_SEEN_BY_GUEST = "10.0.2.2"
"""The address of QEMU's user network under which a guest reaches our loopback address."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Guest:
    """One instance: its number, and the key under which its messages are encrypted."""

    datastore: str
    datastore_version: str = "1"
    guest_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def seed(self, broker_url: str) -> Seed:
        """What cloud-init is to find.

        Args:
            broker_url: as we reach the broker; the guest gets it as seen from there.
        """
        info = template.render("trove/guest_info.conf.j2", guest_id=self.guest_id, key=self.key,
                               datastore=self.datastore, datastore_version=self.datastore_version)
        agent = template.render("trove/trove-guestagent.conf.j2", broker_url=seen_by_guest(broker_url))
        return Seed(uuid=self.guest_id, hostname="trove-guest",
                    files={GUEST_INFO: info.encode(), AGENT_CONFIGURATION: agent.encode()})


def seen_by_guest(url: str) -> str:
    """The broker's URL as the guest must write it.

    >>> seen_by_guest("rabbit://me:secret@127.0.0.1:5672/")
    'rabbit://me:secret@10.0.2.2:5672/'
    """
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    login, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{login}{at}{HOST_SEEN_BY_GUEST}{port}"))
