"""What is different with a guest agent before Trove 14, whose own managers drive packages of the distribution. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydib.errors import RecipeError
from pydib.trove.variables import TROVE_VERSION

VERSION = "13.0.1"
"""The last release of that kind."""
_FIRST_WITHOUT = 14


@dataclass(frozen=True, kw_only=True)
class Told:
    """What `prepare` tells such an agent; today's managers know both themselves.

    Args:
        mount_point: of the volume.
        configuration: the database's whole configuration, which Trove's controller makes from a template.
    """

    mount_point: str
    configuration: str


DATASTORES: Mapping[str, Told] = {
    "redis": Told(mount_point="/var/lib/redis", configuration="port 6379\nbind 0.0.0.0\ndbfilename dump.rdb\n"),
    "postgresql": Told(mount_point="/var/lib/postgresql", configuration="max_connections = 100\n"),
}
"""The databases that Trove's own managers of that age drive as Debian packages them today."""


def is_classic(version: str) -> bool:
    """Whether the agent of this release of Trove is of that kind.

    >>> is_classic("13.0.1"), is_classic("26.0.0")
    (True, False)

    Raises:
        RecipeError: that is no release.
    """
    first = version.partition(".")[0]
    if not first.isdecimal():
        raise RecipeError(f"{version!r} is no release of trove", where="--trove-version (TROVE_VERSION)",
                          hint=f"use {TROVE_VERSION} or {VERSION}")
    return int(first) < _FIRST_WITHOUT


def told(datastore: str, version: str) -> Told:
    """What such an agent is told of `datastore`.

    Raises:
        RecipeError: it has no manager for it that works with the distribution's package.
    """
    if datastore not in DATASTORES:
        raise RecipeError(f"trove {version} has no manager for today's {datastore}",
                          where="--trove-version (TROVE_VERSION)",
                          hint=f"build with a later release, or one of {', '.join(DATASTORES)}")
    return DATASTORES[datastore]
