"""Which databases there are elements for, on which distributions, and which elements make an image. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydib.element.shelf import Shelf
from pydib.errors import RecipeError

DATASTORES = ("mysql", "percona", "mariadb", "redis", "cassandra", "couchbase", "mongodb", "postgresql", "couchdb",
              "vertica", "db2", "pxc")
"""Trove's names of databases, in the order of its own scripts."""
ROOTS: Mapping[str, tuple[str, ...]] = {"fedora": ("fedora", "fedora-minimal")}
"""The operating system elements of a distribution, the first that there is; otherwise the one of its own name."""
PACKAGED = ("redis", "postgresql", "mysql", "mariadb")
"""Databases on Debian and Ubuntu that the agent in our images manages; Trove's own managers run containers only."""
CONTAINED = ("mysql", "mariadb", "postgresql")
"""Databases that Trove's own managers run in containers."""
CONTAINERS = "guest-containers"
"""The element that takes the place of a database's own when it comes in a container."""
EXTRA: Mapping[str, tuple[str, ...]] = {"fedora": ("selinux-permissive",)}
"""What Trove's scripts add for a distribution."""
DEFAULT_RELEASE: Mapping[str, str] = {"debian": "bookworm", "ubuntu": "noble", "fedora": "43"}
APT = ("debian", "ubuntu")


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A database on a distribution: the elements that are named for it on a command line, in their order."""

    datastore: str
    distro: str
    release: str
    elements: tuple[str, ...]

    @property
    def contained(self) -> bool:
        """Whether the database comes in a container."""
        return CONTAINERS in self.elements

    @property
    def has_manager(self) -> bool:
        """Whether the agent in the image knows this database."""
        return self.contained or (self.distro in APT and self.datastore in PACKAGED)


def choose(shelf: Shelf, *, datastore: str, distro: str, release: str = "", contained: bool = False) -> Guest:
    """The elements for `datastore` on `distro`: those of the release (`ubuntu-xenial-mysql`), else the general ones.

    Args:
        contained: whether the database comes in a container.

    Raises:
        RecipeError: there are none; lists what there is.
    """
    there = dict(offered(shelf))
    if distro not in {name for names in there.values() for name in names}:
        names = sorted({name for names in there.values() for name in names})
        raise RecipeError(f"there is no guest element for the distribution {distro!r}", where="--distro",
                          hint=f"use one of {', '.join(names)}, or put {distro}-guest on ELEMENTS_PATH")
    if contained and datastore not in CONTAINED:
        raise RecipeError(f"Trove has no manager that runs {datastore!r} in a container", where="--containers",
                          hint=f"use one of {', '.join(CONTAINED)}, or leave --containers out")
    if not contained and distro not in there.get(datastore, ()):
        possible = ", ".join(name for name, names in there.items() if distro in names)
        raise RecipeError(f"there is no element for the datastore {datastore!r} on {distro}", where="--datastore",
                          hint=f"use one of {possible}, or put {distro}-{datastore} on ELEMENTS_PATH")
    release = release or DEFAULT_RELEASE.get(distro, "")
    own = [_first(shelf, distro, release, "guest"),
           CONTAINERS if contained else _first(shelf, distro, release, datastore)]
    extra = [name for name in EXTRA.get(distro, ()) if name in shelf]
    conf = ["apt-conf-dir"] if distro in APT else []
    roots = ROOTS.get(distro, (distro,))
    root = next((name for name in roots if name in shelf), roots[0])
    return Guest(datastore=datastore, distro=distro, release=release,
                 elements=(root, *extra, "vm", "cloud-init-datasources", *conf, *own))


def offered(shelf: Shelf) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each database that there is an element for, and its distributions."""
    distros = sorted({element.name.split("-")[0] for element in shelf if element.name.endswith("-guest")
                      and element.name.count("-") in (1, 2)} - {"guest"})
    for datastore in DATASTORES:
        having = tuple(distro for distro in distros if _elements_of(shelf, distro, datastore))
        if having:
            yield datastore, having


def _elements_of(shelf: Shelf, distro: str, part: str) -> list[str]:
    return [element.name for element in shelf
            if element.name == f"{distro}-{part}"
            or (element.name.startswith(f"{distro}-") and element.name.endswith(f"-{part}"))]


def _first(shelf: Shelf, distro: str, release: str, part: str) -> str:
    wrapper = f"{distro}-{release}-{part}"
    general = f"{distro}-{part}"
    if wrapper in shelf:
        return wrapper
    if general in shelf:
        return general
    having = [name.removeprefix(f"{distro}-").removesuffix(f"-{part}") for name in _elements_of(shelf, distro, part)]
    raise RecipeError(f"there is no {wrapper} and no {general}", where=f"--release {release}",
                      hint=f"{part} is there for the releases {', '.join(having)}" if having
                      else f"put {general} on ELEMENTS_PATH")
