"""An element under test: runs its scripts as a build would, one at a time."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

import pytest

from pydib import clock, environment
from pydib.element.hooks import merge, order_key, scripts_in
from pydib.element.shelf import Shelf, find_elements
from pydib.environment import TARGET_PATH
from pydib.events import ignore
from pydib.host.keeper import Done, Keeper, KeeperRefused
from pydib.paths import Layout, lib_dir, phases_dir
from pydib.phase.phases import Phase, load_phases
from pydib.recipe import from_environment
from pydib.runner.hooktree import make_hook_tree
from pydib.testkit.commands import Call
from pydib.testkit.fake_root import FakeRoot
from pydib.testkit.hooks import find_element, with_dependencies
from pydib.testkit.mounts import KIT, View, host_mounts, target_mounts
from pydib.testkit.real_disk import on_the_real_disk
from pydib.testkit.result import Runs, ScriptRun, differences, leaves, written
from pydib.testkit.session import session
from pydib.testkit.shell_coverage import collect, is_wanted

IN_TARGET = frozenset({"pre-install.d", "install.d", "post-install.d", "finalise.d"})
WITH_TARGET_ROOT = frozenset({"root.d", "cleanup.d", "image-file.d"})
"""Only here is TARGET_ROOT set (C-116)."""

WITH_BLOCK_DEVICE = frozenset({"pre-finalise.d", "finalise.d"})
"""Only here is IMAGE_BLOCK_DEVICE set (C-117)."""

OUR_STEPS = re.compile(
    r"^(\++) \[\[ [^\n]* == /dev/pydib-testkit/\* \]\]\n(?:\1 PYDIB_AT=[^\n]*\n)?(?:\1 echo [^\n]*\n)?", re.MULTILINE)
"""What `set -x` shows of `shell/follow` and `shell/trace`."""

NO_OVERLAY = re.compile(r"(No such device|Operation not permitted): 'mount overlay")
"""A kernel without overlayfs, or one that does not allow it in a user namespace (before Linux 5.11)."""

ANSWERS = {"DIB_ROOT_LABEL": "cloudimg-rootfs", "DIB_ROOT_FSTYPE": "ext4", "DIB_BOOT_LABEL": "", "DIB_MOUNTPOINTS": "/"}
"""What the engine knows of a disk without block-device configuration."""


@on_the_real_disk
class ElementUnderTest:
    """One element, merged with what it depends on into a hook tree.

    What host scripts write into the tree stays for later runs, as it does in a build.

    Args:
        name: the element.
        root: the fake root that its scripts get.
        shelves: directories with elements, the first that has one counts.
        also: further elements to merge.
        writable: directories of the test that host scripts may write to, beside the fake root's own.
        shelf: the elements on `shelves`, for who has them already.
    """

    def __init__(self, name: str, *, root: FakeRoot, shelves: Sequence[Path], also: Sequence[str] = (),
                 writable: Sequence[Path] = (), shelf: Shelf | None = None) -> None:
        shelf = find_elements(shelves) if shelf is None else shelf
        self.name = name
        self.root = root
        self.directory = find_element(name, shelf).path
        self.hooks = root.base / "build/hooks"
        self._shelves = shelves
        self._writable = tuple(writable)
        self._elements = with_dependencies((name, *also), shelf)
        if self.hooks.exists():
            raise AssertionError("this fake root has an element already; merge further ones with also=[...]")
        merged = merge(self._elements)
        own = [entry for entry in merged if entry.element == name and "/" not in entry.target and not entry.is_dir]
        self._entries = (*merged, *own)  # of files like `fingerprint`, which every element may have, this element's
        make_hook_tree(self._entries, self.hooks, ignore)

    def run(self, script: str, *, env: Mapping[str, str] | None = None, network: bool = False,
            seconds: int = 60) -> ScriptRun:
        """Run `script`, for example `install.d/10-foo`; where it runs follows from its directory.

        Scripts of pre-install.d, install.d, post-install.d and finalise.d run in the target. All others, also those
        in `bin/`, run on the host: they see the ordinary programs, the elements, and what they may write to.

        Args:
            env: variables of the build's caller, on top of the engine's and the root's.
            network: let it see the host's network, for a server on loopback.
            seconds: after which it is killed.
        """
        return self.run_with(script, env=env, network=network, seconds=seconds)

    def run_with(self, script: str, *arguments: str, env: Mapping[str, str] | None = None, network: bool = False,
                 side: str = "", seconds: int = 60) -> ScriptRun:
        """Run a program of the hook tree with arguments, such as `bin/pkg-map`.

        Args:
            side: `target` or `host`, where the directory does not say it.
        """
        folder = script.split("/")[0]
        if not (self.hooks / script).exists():
            raise AssertionError(f"{self.name} has no {script}; it has {', '.join(self.scripts()) or 'no scripts'}")
        commands = self.root.commands
        before, seen, known = self.root.snapshot(), len(commands.calls()), len(commands.unexpected())
        side = side or ("target" if folder in IN_TARGET else "host")
        began = clock.monotonic()
        done = self._enter(side, folder, script, arguments, env or {}, network, seconds)
        taken = clock.monotonic() - began
        after = self.root.snapshot()
        self._judge(done, script, known)
        calls = tuple(self._placed(call) for call in commands.calls()[seen:])
        gone = before.keys() - after.keys()
        return ScriptRun(
            script=script, exit_code=done.code, output=done.output, calls=calls, seconds=taken,
            wrote=written(before, after), removed=tuple(sorted(gone & set(leaves(before)))),
            changes=differences(before, after),
        )

    def run_phase(self, phase: str, *, env: Mapping[str, str] | None = None) -> Runs:
        """Run all scripts of `phase` (`install`, or `install.d`), this element's and its dependencies', in order, up
        to the first that fails."""
        return self._run_all(self.scripts_of(phase), env)

    def run_all(self, *, env: Mapping[str, str] | None = None) -> Runs:
        """Run the scripts of all phases in the order of a build, up to the first that fails."""
        scripts = [script for phase in _phases() for script in self.scripts_of(phase.directory)]
        return self._run_all(scripts, env)

    def _run_all(self, scripts: Sequence[str], env: Mapping[str, str] | None) -> Runs:
        before = self.root.snapshot()
        done: list[ScriptRun] = []
        for script in scripts:
            done.append(self.run(script, env=env))
            if not done[-1].ok:
                break
        return Runs(runs=tuple(done), changes=differences(before, self.root.snapshot()))

    def scripts(self, phase: str = "*.d") -> list[str]:
        """This element's own executable scripts, in the order in which they run (C-083 to C-085)."""
        folders = sorted(folder for folder in self.directory.glob(phase) if folder.is_dir())
        return [f"{folder.name}/{name}" for folder in folders for name in scripts_in(folder).names
                if folder.name != "environment.d"]

    def scripts_of(self, phase: str) -> list[str]:
        """The scripts of `phase` in the whole hook tree, in the order in which they run."""
        folder = phase if phase.endswith(".d") else f"{phase}.d"
        return [f"{folder}/{name}" for name in sorted(scripts_in(self.hooks / folder).names, key=order_key)]

    def source_of(self, path: str) -> Path | None:
        """The element's own file that became `path` of the hook tree (or, below /, of the target), or None."""
        for top in (f"{self.hooks}/", "/tmp/in_target.d/", "/usr/local/"):
            if path.startswith(top):
                return self._sources.get(os.path.normpath(path.removeprefix(top)))
        return None

    @cached_property
    def _sources(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for entry in self._entries:
            if not entry.is_dir:
                found[entry.target] = entry.source
            elif "/" in entry.target:
                found.update({f"{entry.target}/{file.relative_to(entry.source)}": file
                              for file in entry.source.rglob("*") if file.is_file()})
        return found

    def environment(self, phase: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that scripts of `phase` start with, before environment.d (C-110 to C-121): those of a build,
        with what the test says on top."""
        inside, base = phase in IN_TARGET, self.root.base
        said = {**self.root.env, **(env or {})}
        variables = {**self._engine_environment(said), **said}
        if inside:
            variables = environment.for_target(variables)
        else:
            mine = str(self.root.commands.host_directory)
            variables["PATH"] = os.pathsep.join([mine, variables["PATH"]])
            variables.pop("PS4")  # a trace with the plain prompt: `OUR_STEPS` reads it
        if phase in WITH_TARGET_ROOT:
            variables["TARGET_ROOT"] = str(base / "build/mnt")
        if phase in WITH_BLOCK_DEVICE:
            variables.setdefault("IMAGE_BLOCK_DEVICE", "/dev/pydib-image")
        return variables

    def _engine_environment(self, said: Mapping[str, str]) -> dict[str, str]:
        """What the engine gives to scripts on the host, for a caller who has set what the test says."""
        base = self.root.base
        caller = {
            "ARCH": "amd64", "DIB_IMAGE_CACHE": str(base / "cache"), "DIB_LOCKFILES": str(base / "locks"),
            "ELEMENTS_PATH": os.pathsep.join(map(str, self._shelves)), "HOME": str(base / "home"), "PATH": TARGET_PATH,
            "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(base / "tmp"), "USER": "builder", **said}
        return environment.for_host(
            from_environment(caller, elements=(self.name,)), {one.name: one.path for one in self._elements},
            Layout(build_dir=base / "build", image_dir=base / "image"), python=sys.executable, answers=ANSWERS)

    def _enter(self, side: str, folder: str, script: str, arguments: Sequence[str], env: Mapping[str, str],
               network: bool, seconds: int) -> Done:
        keeper, root = _keeper(network), self.root
        phase = folder if side == "host" or folder in IN_TARGET else "install.d"
        variables = self.environment(phase, env)
        variables["BASH_ENV"] = f"{KIT}/{'trace' if is_wanted() else 'follow'}"
        if is_wanted():
            variables["PYTHONPATH"] = os.pathsep.join([f"{KIT}/python", *filter(None, [variables.get("PYTHONPATH")])])
        view = self._view(keeper)
        try:
            if side == "target":
                top, mounts, procs, hooks, there = (
                    root.directory, target_mounts(view), [root.directory / "proc"], Path("/tmp/in_target.d"), "/")
            else:
                top, hooks, there = keeper.host_root, self.hooks, str(root.base / "cwd")
                mounts, procs = host_mounts(view, filled=root.filled), [top / "proc"]
                if root.filled:
                    procs.append(Path(f"{top}{root.directory}/proc"))
            done = keeper.run(root=top, mounts=mounts, procs=procs, env=variables, cwd=there, seconds=seconds,
                              argv=["/bin/bash", f"{KIT}/run-one", str(hooks), script, *arguments])
            return replace(done, output=OUR_STEPS.sub("", done.output))
        except KeeperRefused as error:
            if NO_OVERLAY.search(error.what):
                pytest.skip(f"this machine: {error.what}")
            raise
        finally:
            self._tidy()

    def _view(self, keeper: Keeper) -> View:
        base = self.root.base
        visible = [lib_dir().parent, *(element.path for element in self._elements)]
        return View(root=self.root.directory, base=base, kit=base / "kit", hooks=self.hooks, devices=keeper.devices,
                    lower=self.root.commands.layers(self._tools(), base / "tools"),
                    host_root=keeper.host_root, visible=visible, writable=self._writable)

    def _judge(self, done: Done, script: str, known: int) -> None:
        """Fail the test if the script hung, or called what nobody expected."""
        collect(self.root.base / "kit/trace-lines", self.source_of)
        if done.timed_out:
            raise AssertionError(f"{script} did not come to an end in its time and was killed\n{done.output}")
        unexpected = [str(replace(one, at=self._place(one.at))) for one in self.root.commands.unexpected()[known:]]
        if unexpected:
            raise AssertionError("\n".join(unexpected))

    def _placed(self, call: Call) -> Call:
        return replace(call, at=self._place(call.at))

    def _place(self, at: str) -> str:
        """FILE:LINE with the file as it is called in the hook tree."""
        for top in (f"{self.hooks}/", "/tmp/in_target.d/"):
            at = at.removeprefix(top)
        return "" if at == ":" else at

    def _tidy(self) -> None:
        mount_point = self.root.directory / "tmp/in_target.d"
        if mount_point.is_dir():
            mount_point.rmdir()

    def _tools(self) -> list[Path]:
        """Programs of the elements' bin/, as install-bin would install them; stand-ins win, but not over our own."""
        own = self.directory / "bin"
        tools = {tool.name: tool for element in self._elements for tool in sorted(element.path.glob("bin/*"))
                 if tool.name not in self.root.commands.fakes}
        tools |= {tool.name: tool for tool in own.glob("*")}
        return [tool for tool in tools.values() if tool.is_file()]


@cache
def _phases() -> tuple[Phase, ...]:
    return load_phases([phases_dir()])


def _keeper(network: bool) -> Keeper:
    """Skip the test, and say why, on a machine that makes no namespaces for us."""
    try:
        return session().keeper_with_network() if network else session().keeper
    except KeeperRefused as error:
        pytest.skip(error.what)
