"""What is left to do with a finished image: the commands that upload it and tell Trove of it, filled in. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

_VERSIONS = {
    "bookworm": {"mysql": "10.11", "mariadb": "10.11", "postgresql": "15", "redis": "7.0"},
    "noble": {"mysql": "10.11", "mariadb": "10.11", "postgresql": "16", "redis": "7.0", "percona": "8.0",
              "mongodb": "8.0", "cassandra": "4.1"},
    "trixie": {"mysql": "11.8", "mariadb": "11.8", "postgresql": "17", "redis": "8.0"},
}
_SEED = {"mysql": "5.7", "percona": "5.6", "pxc": "5.6", "mariadb": "10.1", "mongodb": "3.2", "redis": "3.2.6",
         "cassandra": "2.1.0", "couchbase": "2.2.0", "postgresql": "9.4", "couchdb": "1.6.1", "vertica": "7.1",
         "db2": "10.5"}


@dataclass(frozen=True, kw_only=True)
class Registered:
    """An image as Trove will know it.

    Args:
        has_manager: whether a manager of ours is in it; Trove's own need not be named.
        is_classic: whether its agent, and so the control plane, is older than Trove 14.
    """

    image: Path
    datastore: str
    distro: str
    release: str
    has_manager: bool
    is_classic: bool = False

    @property
    def version(self) -> str:
        """The database's version: the distribution's, or the one that Trove's scripts register."""
        return _VERSIONS.get(self.release, {}).get(self.datastore) or _SEED.get(self.datastore, "1")

    @property
    def registry(self) -> tuple[str, ...]:
        """The option that names the image's own manager."""
        if not self.has_manager:
            return ()
        return ("--registry-ext", f"{self.datastore}:packaged_datastores.{self.datastore}.Manager")


def commands(registered: Registered) -> tuple[str, ...]:
    """The commands, in their order. Trove refers to the image by its tags, since release 14, or by its number."""
    name = registered.image.stem
    tags = f"trove,{registered.datastore}"
    upload = shlex.join(["openstack", "image", "create", name, "--private", "--disk-format", "qcow2",
                         "--container-format", "bare", "--property", "hw_rng_model=virtio", "--tag", "trove", "--tag",
                         registered.datastore, "--file", str(registered.image)])
    if registered.is_classic:
        store = registered.datastore
        number = f'"$(openstack image show -f value -c id {shlex.quote(name)})"'
        return (
            upload, shlex.join(["trove-manage", "datastore_update", store, ""]),
            shlex.join(["trove-manage", "datastore_version_update", store, registered.version, store])
            + f" {number} '' 1",
            shlex.join(["trove-manage", "datastore_update", store, registered.version]),
        )
    return (
        upload,
        shlex.join(["openstack", "datastore", "version", "create", registered.version, registered.datastore,
                    registered.datastore, "", *registered.registry, "--image-tags", tags, "--active", "--default"]),
    )
