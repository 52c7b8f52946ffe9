"""The plan: what a build will do, decided before it does anything.

Scripts may add scripts to the hook tree while the build runs (C-080), so a plan names what is known beforehand; the
runner reads each folder again when its phase comes, and the log names what was added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydib.element.hooks import SCRIPT_NAME, Entry, name_regex, order_key
from pydib.element.resolve import Resolution
from pydib.phase.phases import ACTIONS, Phase
from pydib.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do.

    `kind` is `script`, `action` or `output`; `name` the script's path in the hook tree, the action, or the output's
    type; `element` the script's element; `source` its file, or the output's path; `reason` why it is there.
    """

    kind: str
    phase: str
    name: str
    reason: str
    where: str = ""
    element: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole build: its elements, phases and steps in order."""

    resolution: Resolution
    entries: tuple[Entry, ...]
    phases: tuple[Phase, ...]
    steps: tuple[Step, ...]

    def owner(self, target: str) -> str:
        """The element that brought the hook-tree path `target`; empty if none did."""
        for entry in reversed(self.entries):
            if entry.target == target:
                return entry.element
        return ""

    def source(self, target: str) -> str:
        """The file in an element that became the hook-tree path `target`; empty if none did."""
        for entry in reversed(self.entries):
            if entry.target == target:
                return str(entry.source)
        return ""

    def as_json(self) -> dict[str, Any]:
        """The plan as maps and lists, for `pydib plan --json`."""
        return {
            "elements": [{"name": element.name, "path": str(element.path),
                          "asked_by": self.resolution.asked_by.get(element.name, "")}
                         for element in self.resolution.elements],
            "phases": [asdict(phase) for phase in self.phases],
            "steps": [asdict(step) for step in self.steps],
        }


def make_plan(recipe: Recipe, resolution: Resolution, entries: tuple[Entry, ...], phases: tuple[Phase, ...]) -> Plan:
    """Join phases with the scripts of the elements."""
    steps: list[Step] = []
    saves_disk = "no-final-image" not in " ".join(resolution.names) and not recipe.ramdisk
    outputs = tuple(kind for kind in recipe.types if saves_disk or kind in PACKED_TYPES)
    if not needs_disk(outputs):
        phases = tuple(phase for phase in phases if "IMAGE_FILE" not in phase.variables)
    for phase in phases:
        steps.extend(_actions(phase, phase.before, recipe, outputs))
        steps.extend(_scripts(phase, entries, recipe.environment.get("RUN_PARTS_REGEX") or SCRIPT_NAME))
        steps.extend(_actions(phase, phase.after, recipe, outputs))
    steps.extend(_output(kind, recipe) for kind in outputs)
    return Plan(resolution=resolution, entries=entries, phases=phases, steps=tuple(steps))


def needs_disk(outputs: Sequence[str]) -> bool:
    """Whether one of these types of output is made of the disk image."""
    return any(kind not in PACKED_TYPES for kind in outputs)


def _output(kind: str, recipe: Recipe) -> Step:
    place = recipe.docker_target if kind == "docker" else str(recipe.output(kind))
    return Step(kind="output", phase="", name=kind, reason=f"-t {','.join(recipe.types)}", source=place)


def _actions(phase: Phase, names: Sequence[str], recipe: Recipe, outputs: Sequence[str]) -> list[Step]:
    wanted = [name for name in names if _is_needed(name, recipe, outputs)]
    return [Step(kind="action", phase=phase.name, name=name, reason=ACTIONS[name], where="host") for name in wanted]


def _is_needed(action: str, recipe: Recipe, outputs: Sequence[str]) -> bool:
    if action == "install-packages":
        return bool(recipe.packages)
    if action == "pack-tree":
        return any(kind in PACKED_TYPES for kind in recipe.types)
    if action == "assemble-disk":
        return needs_disk(outputs)
    return True


PACKED_TYPES = ("tar", "tgz", "squashfs", "aci", "docker")
"""Outputs that are made of the mounted tree, not of the disk image; only the latter's are given up with
`no-final-image` and for ramdisks (C-066)."""


def _scripts(phase: Phase, entries: Sequence[Entry], pattern: str) -> list[Step]:
    chosen: dict[str, Entry] = {}
    regex = name_regex(pattern)
    for entry in entries:
        folder, _, name = entry.target.rpartition("/")
        if folder == phase.directory and not entry.is_dir and regex.search(name) and _runs(entry):
            chosen[name] = entry
    return [Step(kind="script", phase=phase.name, name=chosen[name].target, where=phase.where,
                 element=chosen[name].element, source=str(chosen[name].source),
                 reason=f"executable in {phase.directory} of {chosen[name].element}")
            for name in sorted(chosen, key=order_key)]


def _runs(entry: Entry) -> bool:
    """Executable, or a link: where a link leads is known only in the merged tree (C-073)."""
    try:
        return entry.source.is_symlink() or bool(entry.source.stat().st_mode & 0o111)
    except OSError:
        return False
