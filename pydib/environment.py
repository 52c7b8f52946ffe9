"""What scripts see as their environment, on the host and in the target (contract section 5). Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydib import paths
from pydib.masking import Mask
from pydib.paths import Layout


class Asked(Protocol):
    """What of a recipe reaches the scripts; `pydib.recipe.Recipe` has it all, and says what each field means."""

    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def arch(self) -> str: ...
    @property
    def arguments(self) -> Sequence[str]: ...
    @property
    def checksums(self) -> Sequence[str]: ...
    @property
    def compress(self) -> bool: ...
    @property
    def docker_target(self) -> str: ...
    @property
    def elements_path(self) -> Sequence[Path]: ...
    @property
    def fs_type(self) -> str: ...
    @property
    def hidden(self) -> Sequence[str]: ...
    @property
    def image_cache(self) -> Path: ...
    @property
    def image_size_gib(self) -> float | None: ...
    @property
    def logfile(self) -> str: ...
    @property
    def max_online_resize(self) -> str: ...
    @property
    def min_tmpfs_gib(self) -> int: ...
    @property
    def offline(self) -> bool: ...
    @property
    def output_name(self) -> str: ...
    @property
    def skip_base(self) -> bool: ...
    @property
    def tmpfs(self) -> bool: ...
    @property
    def trace(self) -> int: ...


TARGET_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM_BINARIES = ("/sbin", "/usr/sbin", "/usr/local/sbin")
PROMPT_OF_TRACE = "+ $(_ps4):   "

_FUNCTION = re.compile(r"^BASH_FUNC_.*(%%|\(\))$")
_STRIPPED_INSIDE = frozenset({
    "BASH_ENV", "BASHOPTS", "CDPATH", "ENV", "GLOBIGNORE", "IFS", "LOCALDOMAIN", "NODE_OPTIONS", "NODE_PATH",
    "PERL5DB", "PERL5LIB", "PERL5OPT", "PERLIO_DEBUG", "PERLLIB", "PS4", "PYTHONHOME", "PYTHONINSPECT", "PYTHONPATH",
    "PYTHONUSERBASE", "RES_OPTIONS", "RUBYLIB", "RUBYOPT", "SHELLOPTS", "TERMINFO", "TERMINFO_DIRS", "TERMPATH",
    "TMPDIR", "VIRTUAL_ENV", "ZDOTDIR",
})
"""What sudo takes out of an environment that it passes on (C-112), and what the engine does (C-111)."""
_SWITCHES_OF_MANNER = frozenset({"--no-cache", "--rebuild", "--reuse"})
_OPTIONS_OF_MANNER = frozenset({"--cache-from", "--cache-to", "--events", "--max-age", "--progress", "--rebuild-from",
                                "--timeline"})
"""Options, with a value, that say how to go about a build and not what to build; DIB has none of them."""


def for_host(recipe: Asked, elements: Mapping[str, Path], layout: Layout, *, python: str,
             answers: Mapping[str, str], without_root: bool = False) -> dict[str, str]:
    """The environment of scripts outside the target (C-113, C-114, C-120).

    `elements` are the paths of all elements by name, in order. `answers` are the block-device variables that are
    known before the device exists: DIB_ROOT_LABEL, DIB_ROOT_FSTYPE, DIB_BOOT_LABEL, DIB_MOUNTPOINTS. `without_root`
    tells whether the build runs in a user namespace.
    """
    env = {name: value for name, value in recipe.environment.items() if name not in ("MKFS_OPTS",)}
    mask = Mask(recipe.hidden)
    arguments = mask.text(" ".join(what_is_asked(recipe.arguments)))
    env.update({
        "ARCH": recipe.arch,
        "DIB_ARGS": arguments,
        "DIB_CHECKSUM": _checksum_variable(recipe),
        "DIB_DEBUG_TRACE": str(recipe.trace),
        "DIB_ENV": mask.text(_dib_env({**recipe.environment, "DIB_ARGS": arguments})),
        "DIB_IMAGE_CACHE": str(recipe.image_cache),
        "DIB_LOCKFILES": str(paths.lockfiles(recipe.environment)),
        "DIB_MIN_TMPFS": str(recipe.min_tmpfs_gib),
        "DIB_NO_TMPFS": "0" if recipe.tmpfs else "1",
        "DIB_OFFLINE": "1" if recipe.offline else "",
        "DIB_PYTHON_EXEC": recipe.environment.get("DIB_PYTHON_EXEC") or python,
        "ELEMENTS_PATH": ":".join(str(place) for place in recipe.elements_path),
        "FS_TYPE": recipe.fs_type,
        "IMAGE_ELEMENT": " ".join(elements),
        "IMAGE_ELEMENT_YAML": json.dumps({name: str(path) for name, path in elements.items()}),
        "IMAGE_NAME": recipe.output_name,
        "IMAGE_TYPE": recipe.environment.get("IMAGE_TYPE") or "qcow2",
        "LC_ALL": "C",
        "OUT_IMAGE_PATH": "",
        "PATH": _host_path(recipe.environment.get("PATH", ""), without_root=without_root),
        "PS4": PROMPT_OF_TRACE,
        "PYTHONPATH": ":".join(filter(None, [str(paths.lib_dir() / "python"), recipe.environment.get("PYTHONPATH")])),
        "TMP_BUILD_DIR": str(layout.build_dir),
        "TMP_HOOKS_PATH": str(layout.hooks),
        "TMP_IMAGE_DIR": str(layout.image_dir),
        "TMP_MOUNT_PATH": str(layout.mount),
        "DIB_BLOCK_DEVICE_PARAMS_YAML": str(layout.block_device_params),
        "_LIB": str(paths.lib_dir()),
    })
    env.update(_optional(recipe))
    env.update(answers)
    env.update(_functions(elements))
    return env


def _optional(recipe: Asked) -> dict[str, str]:
    """Variables that exist only when they were asked for (C-114)."""
    optional = {
        "SKIP_BASE": "1" if recipe.skip_base else "",
        "DOCKER_TARGET": recipe.docker_target,
        "LOGFILE": recipe.logfile,
        "MAX_ONLINE_RESIZE": recipe.max_online_resize,
    }
    env = {name: value for name, value in optional.items() if value}
    if not recipe.compress:
        env["COMPRESS_IMAGE"] = ""
    if recipe.image_size_gib is not None:
        env["DIB_IMAGE_SIZE"] = f"{recipe.image_size_gib:g}"
    return env


def _checksum_variable(recipe: Asked) -> str:
    """DIB_CHECKSUM as scripts read it: 0, 1 or a list (C-321)."""
    if not recipe.checksums:
        return "0"
    return recipe.environment.get("DIB_CHECKSUM") or "1"


def what_is_asked(arguments: Sequence[str]) -> tuple[str, ...]:
    """The words of a command line less our own options that change nothing in the image: those that say which scripts
    to run anew, where layers come from, and who is told of what happens. Manifests in images hold the rest, so an
    image does not say how its build went about it.

    >>> what_is_asked(["build", "--no-cache", "--max-age", "7d", "--progress=lines", "-t", "raw", "debian-minimal"])
    ('build', '-t', 'raw', 'debian-minimal')
    """
    kept = []
    words = iter(arguments)
    for word in words:
        if word in _OPTIONS_OF_MANNER:
            next(words, "")
        elif word not in _SWITCHES_OF_MANNER and word.partition("=")[0] not in _OPTIONS_OF_MANNER:
            kept.append(word)
    return tuple(kept)


def _dib_env(environment: Mapping[str, str]) -> str:
    """All DIB_* variables of the caller, as bash declares them (C-121). Our Python is not the caller's word, and lies
    elsewhere on another machine."""
    return "\n".join(f"declare -x {name}={_double_quoted(environment[name])}"
                     for name in sorted(environment) if name.startswith("DIB_"))


def _double_quoted(text: str) -> str:
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def _host_path(given: str, *, without_root: bool) -> str:
    """The caller's PATH with our `sudo` first, and the system's directories at its end (C-029, C-200)."""
    entries = [entry for entry in given.split(":") if entry] or TARGET_PATH.split(":")
    own = [paths.tools_dir(), *([paths.tools_without_root_dir()] if without_root else [])]
    entries = [*map(str, own), *entries]
    return ":".join([*entries, *(entry for entry in SYSTEM_BINARIES if entry not in entries)])


def _functions(elements: Mapping[str, Path]) -> dict[str, str]:
    """The functions that DIB exports to host scripts (C-120, C-191, C-198)."""
    pairs = " ".join(f"[{name}]={path}" for name, path in elements.items())
    return {
        "BASH_FUNC_get_image_element_array%%": f"() {{  echo {shlex.quote(pairs + ' ')}\n}}",
        "BASH_FUNC_die%%": '() {  local code=$?\n echo "$@"\n exit "$(( code ? code : 1 ))"\n}',
        "BASH_FUNC__ps4%%": '() {  printf "%s" "${BASH_SOURCE[1]-}:${FUNCNAME[1]-}:${BASH_LINENO[0]-}"\n}',
    }


def for_target(host_environment: Mapping[str, str], *, caller: str = "root", uid: int = 0, gid: int = 0
               ) -> dict[str, str]:
    """The environment of scripts inside the target (C-111, C-112): what `sudo -E` in a chroot leaves."""
    env = {name: value for name, value in host_environment.items()
           if name not in _STRIPPED_INSIDE and not name.startswith("LD_") and not _FUNCTION.match(name)}
    env.update({
        "HOME": "/root", "USER": "root", "LOGNAME": "root", "PATH": TARGET_PATH,
        "SUDO_COMMAND": "/usr/sbin/chroot", "SUDO_USER": caller, "SUDO_UID": str(uid), "SUDO_GID": str(gid),
    })
    return env
