"""Phase files: what differs between phases is data (`phases/*.toml`)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydib.errors import PhaseError

ACTIONS = {
    "check-root": "root.d must have put something into the target (C-131)",
    "install-type": "the default install type becomes an environment.d file (C-092)",
    "replace-resolv-conf": "target scripts need the host's name servers (C-132)",
    "mount-system": "proc, dev, devpts and sys for the scripts (C-133)",
    "install-packages": "packages named with -p (C-142)",
    "release-tree": "what scripts left mounted must not reach the image (C-150)",
    "measure": "the size of the tree decides the size of the image (C-224)",
    "create-disk": "partitions, filesystems and mounts of the block-device configuration",
    "copy-tree": "the tree moves into its filesystems (C-155)",
    "restore-resolv-conf": "the image gets its own resolv.conf back (C-161)",
    "tidy-tree": "temporary files and logs stay out of the image (C-162)",
    "pack-tree": "tar, tgz and squashfs are made of the mounted tree (C-230)",
    "release-disk": "everything is unmounted and detached before conversion (C-164)",
    "write-fstab": "the tree gets its fstab, and folders for the mount points (C-221, C-222)",
    "assemble-disk": "partitions and filesystems are made from the tree, in a file",
}
"""What the engine can do between phases, and why."""

IN_TREE_MODE: Mapping[str, tuple[str, ...]] = {
    "create-disk": ("write-fstab",), "copy-tree": (), "release-disk": ("assemble-disk",),
}
"""What takes an action's place when the disk is made from the finished tree."""

VARIABLES = ("TARGET_ROOT", "IMAGE_BLOCK_DEVICE", "IMAGE_FILE")
Mode = Literal["tree", "device"]
MODES: tuple[Mode, ...] = ("tree", "device")
_KEYS = {"name", "where", "directory", "variables", "before", "after", "failure", "mode", "optional", "reuse"}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase.

    Args:
        name: DIB's word for it.
        where: `host`, or `target` for a chroot in the image.
        directory: the folder of the hook tree that holds its scripts.
        variables: variables that only some phases have (C-116, C-117).
        before, after: actions of the engine, names out of ACTIONS.
        failure: the exit code of the build when a script fails; None for the script's own (C-027).
        mode: the mode of assembly that has this phase; None: both have.
        optional: the phase does not happen at all when no element brings its folder.
        reuse: whether a layer may stand for a run of its scripts. Not where they do things beside the tree: there they
            always run.
    """

    name: str
    where: str
    directory: str
    variables: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    failure: int | None = None
    mode: Mode | None = None
    optional: bool = False
    reuse: bool = False

    def in_mode(self, mode: Mode) -> Phase:
        """The phase with the actions of that mode of assembly; phase files name those of device mode."""
        if mode == "device":
            return self
        before, after = (tuple(found for name in names for found in IN_TREE_MODE.get(name, (name,)))
                         for names in (self.before, self.after))
        return replace(self, before=before, after=after)


def phases_in_mode(phases: Sequence[Phase], mode: Mode) -> tuple[Phase, ...]:
    """The phases that a build in that mode of assembly has, with their actions."""
    return tuple(phase.in_mode(mode) for phase in phases if phase.mode in (None, mode))


def load_phases(folders: Sequence[Path]) -> tuple[Phase, ...]:
    """All phases, ordered by file name over all folders; a file in a later folder replaces one of the same name.

    Raises:
        PhaseError: a folder or file cannot be read, or says something that cannot be.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PhaseError(f"the phases folder {folder} does not exist", hint="correct --phases")
        files.update({path.name: path for path in folder.glob("*.toml")})
    phases = tuple(_load(files[name]) for name in sorted(files, key=_order))
    seen: set[str] = set()
    for phase in phases:
        if phase.name in seen:
            raise PhaseError(f"two phase files are named {phase.name}", where=", ".join(map(str, folders)),
                             hint="a file replaces ours only when it has the same file name")
        seen.add(phase.name)
    return phases


def _order(name: str) -> tuple[int, str]:
    number = re.match(r"\d+", name)
    return (int(number[0]) if number else 0, name)


def _load(path: Path) -> Phase:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PhaseError(f"the phase file cannot be read: {error}", where=str(path)) from None
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise PhaseError(f"unknown key {unknown[0]!r}", where=str(path), hint="known keys: " + " ".join(sorted(_KEYS)))
    return _checked(data, path)


def _checked(data: dict[str, Any], path: Path) -> Phase:
    name = data.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[0-9A-Za-z_-]+", name):
        raise PhaseError("`name` must be a word of letters, digits and dashes", where=str(path))
    if data.get("where") not in ("host", "target"):
        raise PhaseError('`where` must be "host" or "target"', where=str(path))
    failure = data.get("failure")
    if failure is not None and not (isinstance(failure, int) and 0 < failure < 256):
        raise PhaseError("`failure` must be an exit code from 1 to 255", where=str(path))
    directory = data.get("directory", f"{name}.d")
    if not isinstance(directory, str) or not re.fullmatch(r"[0-9A-Za-z_.-]+", directory) or directory in (".", ".."):
        raise PhaseError("`directory` must be the name of one folder", where=str(path))
    mode, optional = data.get("mode"), data.get("optional", False)
    if mode not in (None, *MODES):
        raise PhaseError('`mode` must be "tree" or "device"', where=str(path))
    if not isinstance(optional, bool):
        raise PhaseError("`optional` must be true or false", where=str(path))
    reuse = data.get("reuse", data["where"] == "target")
    if not isinstance(reuse, bool):
        raise PhaseError("`reuse` must be true or false", where=str(path))
    return Phase(
        name=name, where=data["where"], directory=directory, failure=failure, mode=mode, optional=optional,
        reuse=reuse,
        variables=_choice(data, "variables", VARIABLES, path),
        before=_choice(data, "before", tuple(ACTIONS), path),
        after=_choice(data, "after", tuple(ACTIONS), path),
    )


def _choice(data: dict[str, Any], key: str, known: tuple[str, ...], path: Path) -> tuple[str, ...]:
    given = data.get(key, [])
    if not isinstance(given, list):
        raise PhaseError(f"`{key}` must be a list", where=str(path))
    for item in given:
        if item not in known:
            raise PhaseError(f"`{key}` has the unknown word {item!r}", where=str(path),
                             hint="known words: " + " ".join(known))
    return tuple(given)
