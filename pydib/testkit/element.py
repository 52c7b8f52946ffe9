"""An element under test: runs its scripts as a build would, one at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from pydib.element.hooks import merge, scripts_in
from pydib.element.shelf import find_elements
from pydib.errors import CommandFailed, ToolMissing
from pydib.events import ignore
from pydib.host.command import require_tool, run
from pydib.paths import lib_dir
from pydib.runner.hooktree import make_hook_tree
from pydib.testkit.commands import Call
from pydib.testkit.fake_root import FakeRoot
from pydib.testkit.hooks import find_element, with_dependencies
from pydib.testkit.mounts import write_fstab

IN_TARGET = frozenset({"pre-install.d", "install.d", "post-install.d", "finalise.d"})
WITH_TARGET_ROOT = frozenset({"root.d", "cleanup.d"})
"""Only here is TARGET_ROOT set (C-116)."""

TARGET_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class ScriptRun:
    """What one script did.

    Args:
        script: the script, such as `install.d/10-foo`.
        exit_code: as a shell sees it (128 + signal).
        output: stdout and stderr, in the order in which they came.
        calls: programs with stand-ins that it called, in order.
        wrote: paths in the fake root that it made or changed, sorted.
        removed: paths in the fake root that are gone since.
    """

    script: str
    exit_code: int
    output: str
    calls: tuple[Call, ...] = field(default=())
    wrote: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0

    @property
    def lines(self) -> list[str]:
        """The calls, one line each."""
        return [call.line for call in self.calls]

    def called(self, name: str, *words: str) -> bool:
        """Whether the program `name` was called with `words` among its arguments, in this order."""
        return any(call.matches(name, *words) for call in self.calls)


class ElementUnderTest:
    """One element, merged with what it depends on into a hook tree.

    What host scripts write into the tree stays for later runs, as it does in a build.
    """

    def __init__(self, name: str, *, root: FakeRoot, shelves: Sequence[Path], also: Sequence[str] = ()) -> None:
        shelf = find_elements(shelves)
        self.name = name
        self.root = root
        self.directory = find_element(name, shelf).path
        self.hooks = root.base / "build/hooks"
        self._shelves = shelves
        self._elements = with_dependencies((name, *also), shelf)
        if self.hooks.exists():
            raise AssertionError("this fake root has an element already; merge further ones with also=[...]")
        make_hook_tree(merge(self._elements), self.hooks, ignore)

    def run(self, script: str, *, env: Mapping[str, str] | None = None, network: bool = False,
            seconds: int = 60) -> ScriptRun:
        """Run `script`, for example `install.d/10-foo`; where it runs follows from its directory.

        Scripts of pre-install.d, install.d, post-install.d and finalise.d run in the target. All others, also those
        in `bin/`, run on the host: its file system is read-only to them, apart from pytest's temporary directory.

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
        phase = script.split("/")[0]
        if not (self.hooks / script).exists():
            raise AssertionError(f"{self.name} has no {script}; it has {', '.join(self.scripts()) or 'no scripts'}")
        before, seen = self.root.snapshot(), len(self.root.commands.calls())
        side = side or ("target" if phase in IN_TARGET else "host")
        output = self._enter(side, phase, script, arguments, env or {}, network, seconds)
        after = self.root.snapshot()
        return ScriptRun(
            script=script, exit_code=self._exit_code(), output=output, calls=self.root.commands.calls()[seen:],
            wrote=tuple(sorted(path for path in after if after[path] != before.get(path))),
            removed=tuple(sorted(path for path in before.keys() - after.keys() if not self.root.exists(path))),
        )

    def run_phase(self, phase: str, *, env: Mapping[str, str] | None = None) -> list[ScriptRun]:
        """Run all scripts that this element has in `phase` (`install.d`), in order, up to the first that fails."""
        done: list[ScriptRun] = []
        for script in self.scripts(phase):
            done.append(self.run(script, env=env))
            if not done[-1].ok:
                break
        return done

    def scripts(self, phase: str = "*.d") -> list[str]:
        """This element's own executable scripts, in the order in which they run (C-083 to C-085)."""
        folders = sorted(folder for folder in self.directory.glob(phase) if folder.is_dir())
        return [f"{folder.name}/{name}" for folder in folders for name in scripts_in(folder).names]

    def environment(self, phase: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that scripts of `phase` start with, before environment.d (C-110 to C-121)."""
        inside = phase in IN_TARGET
        variables = {**self._engine_environment(), **self.root.env, **(env or {})}
        base = self.root.base
        if inside:
            variables |= {"PATH": TARGET_PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root"}
            variables.pop("TMPDIR", None)
        else:
            mine = str(self.root.commands.lay_out_host())
            variables["PATH"] = os.pathsep.join([mine, variables.get("PATH") or os.environ.get("PATH", TARGET_PATH)])
            variables |= {"BASH_FUNC_die%%": (lib_dir() / "die").read_text().partition("\ndie")[2],
                          "BASH_FUNC_get_image_element_array%%": "() { echo \"" + self._element_array() + "\"; }"}
        if phase in WITH_TARGET_ROOT:
            variables["TARGET_ROOT"] = str(base / "build/mnt")
        return variables

    def _engine_environment(self) -> dict[str, str]:
        base = self.root.base
        names = " ".join(element.name for element in self._elements)
        return {
            "ARCH": "amd64", "DIB_ARGS": "", "DIB_BOOT_LABEL": "", "DIB_CHECKSUM": "0", "DIB_DEBUG_TRACE": "0",
            "DIB_ENV": "", "DIB_IMAGE_CACHE": str(base / "cache"), "DIB_LOCKFILES": str(base / "locks"),
            "DIB_MIN_TMPFS": "2", "DIB_MOUNTPOINTS": "/", "DIB_NO_TMPFS": "0", "DIB_OFFLINE": "",
            "DIB_PYTHON_EXEC": sys.executable, "DIB_ROOT_FSTYPE": "ext4", "DIB_ROOT_LABEL": "cloudimg-rootfs",
            "ELEMENTS_PATH": os.pathsep.join(map(str, self._shelves)), "FS_TYPE": "ext4", "HOME": str(base / "home"),
            "IMAGE_ELEMENT": names, "IMAGE_ELEMENT_YAML": self._element_yaml(), "IMAGE_NAME": "image",
            "IMAGE_TYPE": "qcow2", "LC_ALL": "C", "OUT_IMAGE_PATH": "", "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(base / "tmp"), "TMP_BUILD_DIR": str(base / "build"), "TMP_HOOKS_PATH": str(self.hooks),
            "TMP_IMAGE_DIR": str(base / "image"), "TMP_MOUNT_PATH": str(base / "build/mnt"),
            "USER": "builder", "_LIB": str(lib_dir()),
        }

    def _element_yaml(self) -> str:
        return "{" + ", ".join(f"{element.name}: {element.path}" for element in self._elements) + "}\n"

    def _element_array(self) -> str:
        return " ".join(f"[{element.name}]={element.path}" for element in self._elements) + " "

    def _enter(self, side: str, phase: str, script: str, arguments: Sequence[str], env: Mapping[str, str],
               network: bool, seconds: int) -> str:
        _need_namespaces()
        base, kit = self.root.base, self.root.base / "kit"
        for leftover in ("exit", "refused"):
            (kit / leftover).unlink(missing_ok=True)
        if side == "host" and not self.root.filled:
            side = "bare"
        lower = self.root.commands.lay_out(base / "lower", self._tools())
        there = "/" if side == "target" else str(base / "cwd")
        write_fstab(kit / "fstab", side=side, base=base, root=self.root.directory, kit=kit, hooks=self.hooks,
                    lower=lower)
        variables = self.environment("install.d" if side == "target" else phase, env)
        try:
            return run(
                "timeout", "--foreground", "--signal=KILL", str(seconds), *_namespaces(network), "/bin/bash",
                kit / "enter", side, self.root.directory, kit, self.hooks, script, there, *arguments,
                env=variables, accept=range(256),
            )
        finally:
            self._tidy()

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

    def _exit_code(self) -> int:
        kit = self.root.base / "kit"
        if (kit / "refused").exists():
            pytest.skip(f"this machine: {(kit / 'refused').read_text().strip()}")
        if not (kit / "exit").exists():
            raise AssertionError("the script did not come to an end in its time and was killed")
        return int((kit / "exit").read_text())


@cache
def _need_namespaces() -> None:
    """Skip the test, and say why, on a machine that makes no namespaces for us."""
    try:
        run(*_namespaces(False), "true")
    except (CommandFailed, ToolMissing) as error:
        pytest.skip(f"this machine makes no namespaces for scripts under test: {error.what}")


def _namespaces(network: bool) -> list[str]:
    """The command that enters the namespaces of one run; an ordinary user gets a user namespace as well."""
    words = [require_tool("unshare", why="scripts under test run in namespaces"), "--mount", "--pid", "--ipc", "--uts",
             "--fork", "--kill-child", "--propagation", "private"]
    if not network:
        words.append("--net")
    if os.getuid() != 0:
        words += ["--user", "--map-root-user"]
    return words
