"""Statements of the contract that no other test is about."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pydib import build, events, paths
from pydib.build import actions
from pydib.element.hooks import environment_files
from pydib.element.resolve import resolve
from pydib.element.shelf import find_elements
from pydib.errors import HookFailed
from pydib.host import kernel
from pydib.host.mount import mounts_below
from pydib.host.namespace import in_own_namespaces
from pydib.host.script import Launcher
from pydib.paths import Layout
from pydib.phase.phases import load_phases
from pydib.recipe import Wishes, from_environment
from pydib.runner.breaks import Place, breaks_from, run_between_breaks
from pydib.runner.phase import PhaseRun, Tail
from pydib.sizes import GIB, image_size_kib


class Stopped(Exception):
    """The build would begin now."""


@pytest.mark.contract("C-022", "C-025")
def test_caches_and_lock_files_have_folders_before_anything_runs(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> None:
        raise Stopped

    monkeypatch.setattr(build, "prepare", lambda recipe: None)
    monkeypatch.setattr(build, "check_machine", lambda prepared: None)
    monkeypatch.setattr(build, "workspace", stop)
    variables = {"HOME": str(tmp_path), "DIB_LOCKFILES": str(tmp_path / "a/locks"),
                 "DIB_IMAGE_CACHE": str(tmp_path / "b")}
    with pytest.raises(Stopped):
        build.run_build(from_environment(variables, elements=("x",)), Wishes())
    assert (tmp_path / "a/locks").is_dir()
    assert (tmp_path / "b").is_dir()


@pytest.mark.contract("C-014")
def test_an_image_without_a_name_is_called_image() -> None:
    assert from_environment({}, elements=("x",)).image_name == "image"
    assert from_environment({"IMAGE_NAME": "dir/mine"}, elements=("x",)).image_name == "dir/mine"


@pytest.mark.contract("C-067")
@pytest.mark.parametrize("name", ["debian-minimal", "debian"])
def test_our_operating_systems_say_what_they_are(name: str, tmp_path: Path) -> None:
    shelf = find_elements([paths.elements_dir()])
    assert "operating-system" in shelf["debian-minimal"].provides
    (tmp_path / "environment.d").mkdir()
    for element in resolve([name], shelf).elements:
        for file in environment_files(element.path):
            (tmp_path / "environment.d" / file).symlink_to(element.path / "environment.d" / file)
    script = 'set -eu; cd "$1"; for file in *; do . "./$file"; done; ' \
             'echo "$DISTRO_NAME $DIB_RELEASE $DIB_INIT_SYSTEM"'
    env = {"PATH": os.environ["PATH"], "ARCH": "amd64", "LC_ALL": "C", "TMP_HOOKS_PATH": str(tmp_path),
           "IMAGE_NAME": "x", "DIB_IMAGE_CACHE": str(tmp_path), "DIB_DEFAULT_INSTALLTYPE": "source"}
    done = subprocess.run(["bash", "-c", script, "bash", tmp_path / "environment.d"], env=env, text=True, check=True,
                          capture_output=True)
    distribution, release, init = done.stdout.split()[-3:]
    assert (distribution, init) == ("debian", "systemd")
    assert release.isalpha()


class Rooms(actions.Build):
    """A build that has only what making room needs."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def _record_disk(self) -> None:
        """There is no disk."""


@pytest.mark.contract("C-124")
@pytest.mark.parametrize(("memory_gib", "variables", "mounted", "warned"), [
    (8, {}, 2, False), (4, {}, 2, False), (3, {}, 0, True), (8, {"DIB_NO_TMPFS": "1"}, 0, False),
    (3, {"DIB_MIN_TMPFS": "1"}, 2, False), (8, {"GENTOO_PROFILE": "default/hardened"}, 0, False)])
def test_builds_lie_in_memory_when_there_is_enough(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_gib: int, variables: dict[str, str], mounted: int,
        warned: bool) -> None:
    mounts: list[Any] = []

    @contextmanager
    def mount(*arguments: object, **named: object) -> Iterator[None]:
        mounts.append((arguments, named))
        yield

    told: list[events.Event] = []
    monkeypatch.setattr(actions, "mounted", mount)
    monkeypatch.setattr(actions.machine, "memory_bytes", lambda: memory_gib * GIB)
    (tmp_path / "b").mkdir()
    (tmp_path / "i").mkdir()
    with ExitStack() as stack, (tmp_path / "filesystems").open("wb") as numbers:
        Rooms(order=SimpleNamespace(filesystems=numbers.fileno()),
              recipe=from_environment(variables, elements=("x",)), stack=stack, report=told.append,
              layout=Layout(build_dir=tmp_path / "b", image_dir=tmp_path / "i")).make_room()
    assert len(mounts) == mounted
    assert bool(told) == warned
    assert {path.name for path in (tmp_path / "b").iterdir()} >= {"mnt", "hooks"}


@pytest.mark.contract("C-152")
def test_there_is_no_phase_for_the_size_of_the_block_device() -> None:
    assert "block-device-size.d" not in {phase.directory for phase in load_phases([paths.phases_dir()])}


SENTINEL = "tmp/dib-test-should-fail"


@pytest.mark.contract("C-318", "C-172")
def test_a_file_in_the_target_tells_that_the_build_was_to_fail(tmp_path: Path) -> None:
    script = tmp_path / "install.d" / "10-fails"
    script.parent.mkdir()
    (tmp_path / "tmp").mkdir()
    script.write_text(f"#!/bin/sh\ntouch $TMP_MOUNT_PATH/{SENTINEL}\nexit 7\n")
    script.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "TMP_MOUNT_PATH": str(tmp_path)}
    wanted = breaks_from({"break": "after-error", "break_outside_target": "1",
                          "break_cmd": f"cp -v $TMP_MOUNT_PATH/{SENTINEL} {tmp_path} || true"})
    run = PhaseRun(phase="install", directory="install.d", tree=tmp_path, seen_as=str(tmp_path), env=env, cwd="/")
    tail = Tail(lambda event: None)
    with Launcher(tail) as launcher, pytest.raises(HookFailed) as caught:
        run_between_breaks(run, wanted, Place(env=env, cwd="/"), launcher, tail, lambda event: None)
    assert caught.value.exit_code == 7
    assert (tmp_path / "dib-test-should-fail").exists()


@pytest.mark.contract("C-288", verdict="bettered", note="mounts of a build do not reach the host, and end with it")
@pytest.mark.machine
@pytest.mark.skipif(os.geteuid() != 0, reason="only root enters these namespaces")
def test_mounts_do_not_leave_the_build(tmp_path: Path) -> None:
    def work() -> int:
        kernel.mount("tmpfs", tmp_path, fstype="tmpfs")
        (tmp_path / "inside").touch()
        return 7 if os.getpid() == 1 and mounts_below(tmp_path) else 1

    us = os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(in_own_namespaces(work, parent=us))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert not mounts_below(tmp_path) and not list(tmp_path.iterdir())


@pytest.mark.contract("C-301", verdict="bettered", note="sizes are whole numbers, however large")
def test_sizes_above_two_tebibytes_stay_exact() -> None:
    tree = 3 * 2**31 + 1
    size = image_size_kib(tree_kib=tree, given_gib=None, extra_mib=1024, journal_mib=64, ext4_root=True, efi=False)
    assert size == -(-(tree + 1024 * 1024 + 64 * 1024) // 64) * 64
