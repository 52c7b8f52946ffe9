"""Deciding a whole build: elements, hook tree, phases, disk. Reads; changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydib import blockdev, paths
from pydib.blockdev import Graph, RootDefaults
from pydib.build.mode import IMAGE_FILE_PHASE, Assembly, decide_assembly, script_that_needs_loops
from pydib.element.hooks import merge
from pydib.element.resolve import Resolution, resolve, with_defaults
from pydib.element.shelf import Shelf, find_elements
from pydib.element.unread import unread
from pydib.errors import RecipeError, ToolMissing
from pydib.host import machine, room, sandbox
from pydib.host.command import require_tool
from pydib.host.namespace import Namespaces
from pydib.host.room import Operation
from pydib.host.workspace import Workspace
from pydib.image.check import check_output
from pydib.layer.ahead import read_ahead
from pydib.paths import Layout
from pydib.phase.phases import Phase, load_phases, phases_in_mode
from pydib.phase.plan import Plan, make_plan, needs_disk
from pydib.recipe import Recipe, Wishes
from pydib.runner.breaks import breaks_from


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A build that is decided: the recipe, its plan, its disk, and how that is made."""

    recipe: Recipe
    plan: Plan
    graph: Graph
    assembly: Assembly
    wanted: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The types of the outputs, in order; none for ramdisks and with `no-final-image` (C-066)."""
        return tuple(step.name for step in self.plan.steps if step.kind == "output")

    @property
    def in_tree_mode(self) -> bool:
        """Whether the disk is made from the finished tree."""
        return self.assembly.mode == "tree"

    @property
    def needs_disk(self) -> bool:
        """Whether an output is made of the disk image."""
        return needs_disk(self.outputs)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the inner process gets: the build, its room, its places in there, the descriptor on which it writes down
    filesystems in memory (see workspace.py), the one that tells it of layers (see layer/ahead.py), what the user wants
    to see, and the caller's umask, which is that of the outputs."""

    prepared: Prepared
    namespaces: Namespaces
    room: tuple[Operation, ...]
    layout: Layout
    staging_dir: Path
    filesystems: int
    wishes: Wishes
    ahead: int = -1
    umask: int = 0o022

    def looked_ahead(self) -> dict[str, str]:
        """Signatures of layers by state, which the outer process took; waits for it."""
        return read_ahead(self.ahead)


def order(prepared: Prepared, wishes: Wishes, places: Workspace) -> Order:
    """The order for a build whose directories are `places`.

    The room has another `/` than the host. A build that works right in there is told where the host's lies.
    """
    if not machine.is_root():
        return _order_without_root(prepared, wishes, places)
    recipe, staging_dir = prepared.recipe, places.staging_dir
    started_there, written_there = room.is_root(recipe.cwd), room.is_root(recipe.output_stem.parent)
    if started_there:
        recipe = replace(recipe, cwd=room.HOST)
    if written_there:
        staging_dir = room.on_host(staging_dir)
        if not started_there or Path(recipe.image_name).is_absolute():
            recipe = replace(recipe, image_name=str(room.HOST / Path(recipe.image_name).name))
    return Order(
        prepared=replace(prepared, recipe=recipe), wishes=wishes, staging_dir=staging_dir, namespaces=Namespaces(),
        filesystems=places.filesystems,
        layout=Layout(build_dir=room.BUILD_DIR, image_dir=room.IMAGE_DIR),
        room=room.furnish(top=places.top, build_dir=places.build_dir, image_dir=places.image_dir,
                          keep_host=started_there or written_there))


def _order_without_root(prepared: Prepared, wishes: Wishes, places: Workspace) -> Order:
    """The order for an ordinary user's build: in a user namespace, with fences around its room."""
    writable = (*SCRATCH, paths.temporary(prepared.recipe.environment), places.staging_dir.parent,
                *kept_folders(prepared.recipe), *filter(None, [prepared.recipe.cache_to]))
    return Order(
        prepared=prepared, wishes=wishes, staging_dir=places.staging_dir, namespaces=Namespaces(user=True),
        filesystems=places.filesystems,
        layout=Layout(build_dir=room.BUILD_DIR, image_dir=room.IMAGE_DIR),
        room=room.furnish_fenced(top=places.top, build_dir=places.build_dir, image_dir=places.image_dir,
                                 writable=writable))


SCRATCH = (Path("/tmp"), Path("/var/tmp"))
"""Where scripts of an ordinary user's build may write, besides the directories that the user named."""


def kept_folders(recipe: Recipe) -> tuple[Path, ...]:
    """Directories that scripts keep things in from build to build, and which the build makes: caches and locks, and
    where manifests are saved, if the user named a place."""
    env = recipe.environment
    manifests = [recipe.cwd / env["DIB_MANIFEST_SAVE_DIR"]] if env.get("DIB_MANIFEST_SAVE_DIR") else []
    return (recipe.image_cache, paths.lockfiles(env), *manifests)


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
    shelf, wanted, resolution = find_and_resolve(recipe)
    entries = merge(resolution.elements)
    phases = load_phases([paths.phases_dir(), *([recipe.phases_path] if recipe.phases_path else [])])
    choice = blockdev.choose(recipe.block_device_config, elements=[element.path for element in resolution.elements],
                             arch=recipe.arch)
    graph = blockdev.load(choice.text, where=choice.where, root=root_defaults(recipe),
                          sector_bytes=recipe.block_size_bytes)
    assembly = decide_assembly(recipe.assemble, graph, entries, phases)
    phases = phases_in_mode(phases, assembly.mode)
    plan = make_plan(recipe, resolution, entries, phases)
    _check_rebuild_from(recipe.rebuild_from, plan)
    told = (*_overrides(resolution), *choice.warnings, *_unknown_breaks(recipe, phases), assembly.warning,
            *unread(recipe.environment, resolution.elements, shelf),
            "" if machine.is_root() else _warning_without_root(script_that_needs_loops(entries, phases)))
    return Prepared(recipe=recipe, plan=plan, graph=graph, assembly=assembly, wanted=wanted,
                    warnings=tuple(filter(None, told)))


def _check_rebuild_from(wanted: str, plan: Plan) -> None:
    """A slip would hand out again the layers that were to be made anew.

    Raises:
        RecipeError: the plan has no such script.
    """
    scripts = [step.name for step in plan.steps if step.kind == "script" or step.name == "install-packages"]
    known = {*scripts, *(name.rpartition("/")[2] for name in scripts)}
    if wanted and wanted not in known:
        close = difflib.get_close_matches(wanted, sorted(known), n=1)
        raise RecipeError(f"the plan has no script {wanted!r}", where=f"--rebuild-from {wanted}",
                          hint=f"did you mean {close[0]}?" if close else "`pydib plan` lists the scripts")


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


def _warning_without_root(clause: str) -> str:
    return clause and (f"{clause}, which needs loop devices, and only root has those: should it fail there, build as "
                       "root, or take an element that bootstraps its system, such as debian-minimal")


def _check_without_root(prepared: Prepared) -> None:
    if not prepared.in_tree_mode:
        raise ToolMissing(f"this build needs a block device, since {prepared.assembly.reason}, and only root has those",
                          where=f"user {machine.user_name()}",
                          hint="build it as root, or leave out what needs the device; --assemble tree tries without"
                               + "".join(_hidden_elements(prepared)))


def _hidden_elements(prepared: Prepared) -> Iterator[str]:
    """A clause for each of our elements that would do without a device, and that another one stands before."""
    for element in prepared.plan.resolution.elements:
        for path in element.overrides:
            if path.parent == paths.elements_dir() and (path / f"{IMAGE_FILE_PHASE}.d").is_dir():
                yield f"; {path} needs none, but {element.path} stands before it in ELEMENTS_PATH"


def check_machine(prepared: Prepared) -> None:
    """Refuse at once what this machine cannot do, before anything is made.

    Raises:
        ToolMissing: a program, or a right, is missing.
        SandboxError: an ordinary user cannot get the namespaces.
    """
    for tool in ("unshare", "setpriv"):
        require_tool(tool, why="the build runs in its own namespaces")
    if not machine.is_root():
        _check_without_root(prepared)
    sandbox.check_ids()
    for kind in prepared.outputs:
        check_output(prepared.recipe, kind)
    blockdev.check_machine(prepared.graph, devices=not prepared.in_tree_mode)
