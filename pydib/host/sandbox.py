"""Why a build's namespaces cannot be made on this machine, and what to do about it.

`facts` reads what the kernel and the system tell of themselves; `obstacles` judges, and does nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydib.errors import SandboxError
from pydib.host.command import find_tool
from pydib.host.machine import in_user_namespace, user_name

CAP_SYS_ADMIN = 21
IDS_NEEDED = 65536
_SETTINGS = {
    "max_user_namespaces": "user/max_user_namespaces",
    "unprivileged_userns_clone": "kernel/unprivileged_userns_clone",
    "apparmor_restrict_unprivileged_userns": "kernel/apparmor_restrict_unprivileged_userns",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What decides whether namespaces can be made.

    Args:
        user: who builds; `root` whether with root's user id.
        settings: sysctls by the last part of their name, as far as there are any.
        capabilities: the effective set, a bit each (capabilities(7)).
        seccomp: whether a seccomp filter is at work (proc(5): Seccomp is 2).
        no_new_privileges: whether set-user-ID programs get no rights (prctl(2), PR_SET_NO_NEW_PRIVS).
        chrooted: whether we are in a chroot.
        masked: what is mounted over parts of /proc, so that the kernel refuses a new proc.
        helpers: of newuidmap and newgidmap, those that are there and set-user-ID (or have capabilities).
        installed: of the two, those that are there at all.
        uids, gids: how many subordinate ids the user has.
        mapped: how many user and group ids there are in this namespace, the lesser of both (user_namespaces(7)).
    """

    user: str
    root: bool
    settings: dict[str, str] = field(default_factory=dict)
    capabilities: int = 0
    seccomp: bool = False
    no_new_privileges: bool = False
    chrooted: bool = False
    masked: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ("newgidmap", "newuidmap")
    installed: tuple[str, ...] = ("newgidmap", "newuidmap")
    uids: int = IDS_NEEDED
    gids: int = IDS_NEEDED
    mapped: int = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Something in the way, and the command (or change) that mends it."""

    what: str
    remedy: str


def obstacles(facts: Facts) -> tuple[Obstacle, ...]:
    """What keeps this user from building here; what is certain comes first, what is only likely last."""
    return tuple(_for_root(facts) if facts.root else _for_a_user(facts))


def _for_root(facts: Facts) -> Iterator[Obstacle]:
    if not facts.capabilities >> CAP_SYS_ADMIN & 1:
        yield Obstacle(what="this root may not make mounts and namespaces: it lacks CAP_SYS_ADMIN, as in a container",
                       remedy="docker run --privileged; or --cap-add SYS_ADMIN with --security-opt apparmor=unconfined")
    yield from _too_few_mapped(facts)
    yield from _a_filter(facts)


def _for_a_user(facts: Facts) -> Iterator[Obstacle]:
    settings = facts.settings
    if settings.get("max_user_namespaces") == "0":
        yield Obstacle(what="user namespaces are switched off: user.max_user_namespaces is 0",
                       remedy="as root: sysctl -w user.max_user_namespaces=10000")
    if settings.get("unprivileged_userns_clone") == "0":
        yield Obstacle(what="only root may make user namespaces: kernel.unprivileged_userns_clone is 0",
                       remedy="as root: sysctl -w kernel.unprivileged_userns_clone=1")
    if settings.get("apparmor_restrict_unprivileged_userns") == "1":
        yield Obstacle(what="AppArmor forbids user namespaces: kernel.apparmor_restrict_unprivileged_userns is 1",
                       remedy="as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
    for name in ("newuidmap", "newgidmap"):
        if name not in facts.installed:
            yield Obstacle(what=f"the program {name} is not installed; it gives a build its users",
                           remedy="as root: apt-get install uidmap")
        elif name not in facts.helpers:
            yield Obstacle(what=f"{name} is not set-user-ID", remedy="as root: apt-get install --reinstall uidmap")
    if facts.no_new_privileges:
        yield Obstacle(what="newuidmap gets no rights here: this process was started with no_new_privs",
                       remedy="start the container or service without no-new-privileges")
    yield from missing_ids(facts)
    if facts.chrooted:
        yield Obstacle(what="the kernel makes no user namespaces for a process in a chroot",
                       remedy="enter this tree by systemd-nspawn, or run the build outside of it")
    yield from _inside(facts)


def _inside(facts: Facts) -> Iterator[Obstacle]:
    if facts.masked:
        yield Obstacle(what=f"parts of /proc are masked ({', '.join(facts.masked)}): the build gets no proc of its own",
                       remedy="podman run --security-opt unmask=ALL; docker run --security-opt systempaths=unconfined")
    yield from _a_filter(facts)


def _too_few_mapped(facts: Facts) -> Iterator[Obstacle]:
    if facts.mapped < IDS_NEEDED:
        yield Obstacle(what=f"this container has {facts.mapped} user or group ids, and images need {IDS_NEEDED}",
                       remedy="give whoever starts the container subordinate ids, as root of the machine: usermod "
                              "--add-subuids 100000-165535 --add-subgids 100000-165535 USER; then start it anew")


def missing_ids(facts: Facts) -> tuple[Obstacle, ...]:
    """Too few ids: unshare(1) maps what there is without a word, and the build fails later; so does one in a container
    that has too few."""
    if facts.root:
        return tuple(_too_few_mapped(facts))
    counts = {"uid": facts.uids, "gid": facts.gids}
    return tuple(
        Obstacle(what=f"{facts.user} has {count} subordinate {kind}s (/etc/sub{kind}) and needs {IDS_NEEDED}",
                 remedy=f"as root: usermod --add-sub{kind}s 100000-165535 {facts.user}")
        for kind, count in counts.items() if count < IDS_NEEDED)


def _a_filter(facts: Facts) -> Iterator[Obstacle]:
    if facts.seccomp:
        yield Obstacle(what="a seccomp filter, as of a container, may refuse namespaces and mounts",
                       remedy="docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined; "
                              "or podman run --security-opt seccomp=unconfined")


def explained(*, what: str) -> SandboxError:
    """An error with all that stands in the way. In a user namespace, whose root we are, that is less."""
    known = facts()
    found = (*_too_few_mapped(known), *_inside(known)) if known.root and in_user_namespace() else obstacles(known)
    if not found:
        return SandboxError(what, hint="`pydib doctor` tells what this machine lacks")
    return SandboxError("\n    ".join([f"{what}:", *(one.what for one in found)]),
                        hint="\n        ".join(dict.fromkeys(one.remedy for one in found)))


def check_ids() -> None:
    """Refuse before the build what would fail only later in it.

    Raises:
        SandboxError: with every obstacle that was found.
    """
    known = facts()
    if known.root and known.mapped < IDS_NEEDED:
        raise explained(what="the root of this container cannot build")
    if not known.root and (known.uids < IDS_NEEDED or known.gids < IDS_NEEDED or len(known.helpers) < 2):
        raise explained(what=f"{known.user} cannot build without root here")


def facts(*, proc: Path = Path("/proc"), etc: Path = Path("/etc")) -> Facts:
    """Those of this process on this machine."""
    status = dict(line.split(":", 1) for line in (proc / "self/status").read_text().splitlines() if ":" in line)
    found = {name: find_tool(name) for name in ("newgidmap", "newuidmap")}
    user, number = user_name(), os.geteuid()
    return Facts(
        user=user, root=number == 0, settings=_settings(proc), capabilities=int(status.get("CapEff", "0"), 16),
        seccomp=status.get("Seccomp", "0").strip() == "2",
        no_new_privileges=status.get("NoNewPrivs", "0").strip() == "1",
        chrooted=_is_chroot(proc), masked=_masked(proc),
        installed=tuple(name for name, path in found.items() if path),
        helpers=tuple(name for name, path in found.items() if path and _has_rights(path)),
        uids=granted(etc / "subuid", user, number), gids=granted(etc / "subgid", user, number),
        mapped=min(_mapped(proc / "self" / name) for name in ("uid_map", "gid_map")))


def _mapped(file: Path) -> int:
    """How many ids the rows of a map have together (user_namespaces(7)); all when the kernel has no such file."""
    rows = file.read_text().splitlines() if file.exists() else []
    return sum(int(row.split()[2]) for row in rows) if rows else 2**32 - 1


def _settings(proc: Path) -> dict[str, str]:
    files = {name: proc / "sys" / path for name, path in _SETTINGS.items()}
    return {name: path.read_text().strip() for name, path in files.items() if os.access(path, os.R_OK)}


def _mount_points(proc: Path) -> list[str]:
    return [line.split()[4] for line in (proc / "self/mountinfo").read_text().splitlines()]


def _is_chroot(proc: Path) -> bool:
    """In a chroot that is no mount point nothing is mounted on `/` itself."""
    return "/" not in _mount_points(proc)


def _masked(proc: Path) -> tuple[str, ...]:
    """Mounts below /proc, but for those on folders that are made for it: the kernel minds none of these."""
    made_for_it = ("/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/fs/xfs")
    return tuple(sorted({place for place in _mount_points(proc)
                         if place.startswith("/proc/") and place not in made_for_it}))


def _has_rights(program: str) -> bool:
    try:
        return bool(os.stat(program).st_mode & stat.S_ISUID) or "security.capability" in os.listxattr(program)
    except OSError:
        return False


def granted(file: Path, name: str, number: int) -> int:
    """How many ids `file` (subuid(5)) grants to the user: those of the first range, which unshare(1) maps."""
    try:
        rows = [line.split(":") for line in file.read_text().splitlines()]
    except OSError:
        return 0
    counts = [row[2] for row in rows if len(row) == 3 and row[0] in (name, str(number))]
    return next((int(count) for count in counts if count.isdecimal()), 0)
