"""Deciding a whole build: elements, hook tree, phases, disk. Reads; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydib import blockdev, paths
from pydib.blockdev import Graph, RootDefaults
from pydib.element.hooks import merge
from pydib.element.resolve import Resolution, resolve, with_defaults
from pydib.element.shelf import Shelf, find_elements
from pydib.errors import ToolMissing
from pydib.host import machine
from pydib.host.command import require_tool
from pydib.image.check import check_output
from pydib.paths import Layout
from pydib.phase.phases import Phase, load_phases
from pydib.phase.plan import Plan, make_plan
from pydib.recipe import Recipe, Wishes
from pydib.runner.breaks import breaks_from


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A build that is decided: the recipe, its plan, and its disk."""

    recipe: Recipe
    plan: Plan
    graph: Graph
    wanted: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The types of the outputs, in order; none for ramdisks and with `no-final-image` (C-066)."""
        return tuple(step.name for step in self.plan.steps if step.kind == "output")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the inner process gets: the build, its places, and what the user wants to see."""

    prepared: Prepared
    layout: Layout
    staging_dir: Path
    wishes: Wishes


def find_and_resolve(recipe: Recipe) -> tuple[Shelf, tuple[str, ...], Resolution]:
    """The shelf, the wanted names with defaults, and what they expand to."""
    shelf = find_elements(recipe.elements_path)
    wanted = with_defaults(recipe.elements, arch=recipe.arch, base=not recipe.skip_base,
                           ramdisk_element=recipe.ramdisk_element if recipe.ramdisk else "")
    return shelf, wanted, resolve(wanted, shelf)


def prepare(recipe: Recipe) -> Prepared:
    """Decide the whole build. Reads; changes nothing.

    Raises:
        PydibError: anything about elements, phases or the disk that cannot be built.
    """
    _, wanted, resolution = find_and_resolve(recipe)
    entries = merge(resolution.elements)
    phases = load_phases([paths.phases_dir(), *([recipe.phases_path] if recipe.phases_path else [])])
    choice = blockdev.choose(recipe.block_device_config, elements=[element.path for element in resolution.elements],
                             arch=recipe.arch)
    graph = blockdev.load(choice.text, where=choice.where, root=root_defaults(recipe),
                          sector_bytes=recipe.block_size_bytes)
    plan = make_plan(recipe, resolution, entries, phases)
    return Prepared(recipe=recipe, plan=plan, graph=graph, wanted=wanted,
                    warnings=(*_overrides(resolution), *choice.warnings, *_unknown_breaks(recipe, phases)))


def _overrides(resolution: Resolution) -> list[str]:
    """What DIB warns of, too: an element on ELEMENTS_PATH stands before another of its name (C-053)."""
    own = paths.elements_dir()
    return [f"element {element.name} in {element.path} is used; {path} has the same name"
            for element in resolution.elements for path in element.overrides if path.parent != own]


def _unknown_breaks(recipe: Recipe, phases: Sequence[Phase]) -> tuple[str, ...]:
    """Break points that the build will not reach, since they are misspelt (C-170)."""
    return breaks_from(recipe.environment).unknown(phase.name for phase in phases)


def root_defaults(recipe: Recipe) -> RootDefaults:
    """What the recipe says of the root filesystem (C-213, C-225)."""
    return RootDefaults(fs_type=recipe.fs_type, label=recipe.root_label, options=tuple(recipe.mkfs_options.split()),
                        journal_mib=recipe.journal_size_mib, max_online_resize=recipe.max_online_resize,
                        metadata_csum=recipe.environment.get("DIB_RELEASE") != "trusty")


def check_machine(prepared: Prepared) -> None:
    """Refuse at once what this machine cannot do, before anything is made.

    Raises:
        ToolMissing: a program, or a right, is missing.
    """
    if not machine.is_root():
        raise ToolMissing(f"user {machine.user_name()} may not make mounts and loop devices",
                          hint="run the build as root, for instance with sudo")
    for tool in ("unshare", "setpriv"):
        require_tool(tool, why="the build runs in its own namespaces")
    for kind in prepared.outputs:
        check_output(prepared.recipe, kind)
    blockdev.check_machine(prepared.graph)


