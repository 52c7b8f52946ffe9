"""What keeps a user from building here: judged from recorded facts, and read from /proc and /etc."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pydib.errors import SandboxError
from pydib.host import sandbox
from pydib.host.sandbox import Facts, granted, obstacles

ABLE = Facts(user="me", root=False)
ROOT = Facts(user="root", root=True, capabilities=0x1FFFFFFFFFF)


def test_a_plain_machine_has_no_obstacles() -> None:
    assert obstacles(ABLE) == ()
    assert obstacles(ROOT) == ()


@pytest.mark.parametrize(("facts", "what", "remedy"), [
    (replace(ABLE, settings={"max_user_namespaces": "0"}), "user.max_user_namespaces is 0",
     "sysctl -w user.max_user_namespaces=10000"),
    (replace(ABLE, settings={"unprivileged_userns_clone": "0"}), "kernel.unprivileged_userns_clone is 0",
     "sysctl -w kernel.unprivileged_userns_clone=1"),
    (replace(ABLE, settings={"apparmor_restrict_unprivileged_userns": "1"}), "AppArmor forbids user namespaces",
     "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
    (replace(ABLE, installed=("newgidmap",)), "newuidmap is not installed", "apt-get install uidmap"),
    (replace(ABLE, helpers=("newuidmap",)), "newgidmap is not set-user-ID", "apt-get install --reinstall uidmap"),
    (replace(ABLE, no_new_privileges=True), "started with no_new_privs", "no-new-privileges"),
    (replace(ABLE, uids=0), "me has 0 subordinate uids (/etc/subuid) and needs 65536",
     "usermod --add-subuids 100000-165535 me"),
    (replace(ABLE, gids=1000), "me has 1000 subordinate gids", "usermod --add-subgids 100000-165535 me"),
    (replace(ABLE, chrooted=True), "in a chroot", "systemd-nspawn"),
    (replace(ABLE, masked=("/proc/acpi", "/proc/kcore")), "parts of /proc are masked (/proc/acpi, /proc/kcore)",
     "unmask=ALL"),
    (replace(ABLE, seccomp=True), "a seccomp filter", "seccomp=unconfined"),
    (replace(ROOT, mapped=1), "this container has 1 user or group ids", "usermod --add-subuids"),
    (replace(ROOT, capabilities=0xA80425FB), "lacks CAP_SYS_ADMIN", "docker run --privileged"),
])
def test_each_obstacle_is_named_with_what_mends_it(facts: Facts, what: str, remedy: str) -> None:
    (found,) = obstacles(facts)
    assert what in found.what
    assert remedy in found.remedy


def test_settings_for_ordinary_users_do_not_concern_root() -> None:
    assert obstacles(replace(ROOT, settings={"max_user_namespaces": "0"}, uids=0, masked=("/proc/acpi",))) == ()


STATUS = "Name:\tpython3\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n"
MOUNTS_IN_DOCKER = """\
1 2 0:1 / / rw - overlay overlay rw
3 1 0:4 / /proc rw - proc proc rw
4 3 0:4 /bus /proc/bus ro - proc proc rw
5 3 0:5 / /proc/acpi ro - tmpfs tmpfs ro
6 3 0:6 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for name in ("self", "sys/user", "sys/kernel"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "self/status").write_text(STATUS)
    (tmp_path / "self/mountinfo").write_text(MOUNTS_IN_DOCKER)
    (tmp_path / "self/uid_map").write_text("0 1000 1\n1 100000 65535\n")
    (tmp_path / "self/gid_map").write_text("0 1000 1\n1 100000 999\n")
    (tmp_path / "sys/user/max_user_namespaces").write_text("0\n")
    return tmp_path


def test_facts_of_a_container(proc: Path) -> None:
    known = sandbox.facts(proc=proc)
    assert known.settings == {"max_user_namespaces": "0"}
    assert (known.capabilities, known.seccomp, known.no_new_privileges) == (0xA80425FB, True, True)
    assert known.masked == ("/proc/acpi", "/proc/bus")
    assert known.mapped == 1000
    assert not known.chrooted


def test_nothing_is_mounted_on_the_root_of_a_chroot(proc: Path) -> None:
    (proc / "self/mountinfo").write_text(MOUNTS_IN_DOCKER.split("\n", 1)[1])
    assert sandbox.facts(proc=proc).chrooted


@pytest.mark.parametrize(("content", "count"), [
    ("me:100000:65536\n", 65536), ("1000:100000:65536\n", 65536), ("me:100000:1000\nother:1:65536\n", 1000),
    ("me:1:500\nme:100000:65536\n", 500), ("garbage\nme:x:y\n", 0), (None, 0),
])
def test_subordinate_ids_are_those_of_the_first_range(tmp_path: Path, content: str | None, count: int) -> None:
    if content is not None:
        (tmp_path / "subuid").write_text(content)
    assert granted(tmp_path / "subuid", "me", 1000) == count


def test_the_error_tells_all_obstacles_and_all_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "facts", lambda: replace(ABLE, uids=0, gids=0, chrooted=True))
    with pytest.raises(SandboxError) as caught:
        sandbox.check_ids()
    assert len(str(caught.value).splitlines()) == 7, str(caught.value)
    assert "me cannot build without root here:" in caught.value.what


def test_enough_ids_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "facts", lambda: replace(ABLE, seccomp=True))
    sandbox.check_ids()
