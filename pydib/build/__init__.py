"""A build, from recipe to outputs. Reads as a table of contents: one verb a line.

`prepare` (decide.py) decides everything and changes nothing; `run_build` makes the directories and enters the
namespaces; `carry_out`, in there, does what the plan says, with the actions in actions.py and outputs.py.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pydib import __version__, clock, events, paths
from pydib.build.actions import Build, written_down
from pydib.build.decide import (
    Order,
    Prepared,
    check_machine,
    find_and_resolve,
    kept_folders,
    order,
    prepare,
    root_defaults,
)
from pydib.build.space import shortages
from pydib.errors import EngineError, PydibError
from pydib.host import costs
from pydib.host.namespace import run_isolated
from pydib.host.script import end_strays
from pydib.host.workspace import workspace
from pydib.layer.ahead import look_ahead
from pydib.recipe import Recipe, Wishes
from pydib.runner.hooktree import make_hook_tree

UMASK = 0o022
__all__ = ["Order", "Prepared", "carry_out", "failure_of", "find_and_resolve", "prepare", "root_defaults", "run_build"]


def run_build(recipe: Recipe, wishes: Wishes) -> int:
    """Build what `recipe` says; gives the exit code (C-027). Leaves nothing but the outputs, whatever happens.

    Raises:
        PydibError: the build cannot even start.
    """
    prepared = prepare(recipe)
    check_machine(prepared)
    for folder in kept_folders(recipe):
        _make_folder(folder, hint="set DIB_IMAGE_CACHE and DIB_LOCKFILES to directories that you may write to")
    if recipe.cache_to:
        _make_folder(recipe.cache_to, hint="choose another directory for the layers with --cache-to")
    with workspace(paths.temporary(recipe.environment), recipe.output_stem.parent) as places:
        prepared = replace(prepared, warnings=(*prepared.warnings, *places.left, *shortages(prepared)))
        wanted = replace(order(prepared, replace(wishes, hidden=recipe.hidden), places), umask=_umask())
        source, out = os.pipe()

        def look() -> None:
            look_ahead(recipe.image_cache / "layers", str(wanted.prepared.recipe.output_stem), out)

        try:
            if wanted.namespaces.user:  # in there files have other owners than here
                return run_isolated("pydib.cli.inside", pickle.dumps(wanted), namespaces=wanted.namespaces,
                                    keep=[places.lock, places.filesystems])
            return run_isolated("pydib.cli.inside", pickle.dumps(replace(wanted, ahead=source)), meanwhile=look,
                                namespaces=wanted.namespaces, keep=[places.lock, places.filesystems, source])
        finally:
            os.close(source)
            os.close(out)


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def _make_folder(path: Path, *, hint: str) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"a cache directory cannot be made: {error.strerror}", where=str(path),
                          hint=hint) from None


def carry_out(order: Order, report: events.Reporter) -> None:
    """Do what the plan says, inside the namespaces. An image does not depend on who builds it, so scripts and the
    engine have the same umask whatever the caller's is."""
    os.umask(UMASK)
    begun = clock.monotonic()
    plan = order.prepared.plan
    report(events.BuildStarted(version=__version__, elements=order.prepared.wanted))
    report(events.ElementsResolved(elements=plan.resolution.names))
    for warning in order.prepared.warnings:
        report(events.Warned(text=warning))
    report(events.Note(text=f"Building in {order.layout.build_dir}"))
    with _unwinding(report) as stack:
        build = Build(order, report, stack)
        build.make_room()
        build.begin_layers()
        build.record_disk()
        make_hook_tree(plan.entries, order.layout.hooks, report)
        build.layers.hooks_are_made()
        with written_down(build):
            for phase in plan.phases:
                build.actions(phase.before)
                build.scripts(phase)
                build.actions(phase.after)
            if order.prepared.outputs:
                build.publish()
            else:
                report(events.Note(text="No final image is saved"))
    report(events.BuildFinished(seconds=clock.monotonic() - begun, peak_bytes=costs.own_peak_bytes()))


@contextmanager
def _unwinding(report: events.Reporter) -> Iterator[ExitStack]:
    """A stack whose own failures, while another error ends the build, become warnings: the first error counts."""
    stack = ExitStack()
    try:
        yield stack
    except BaseException as error:
        end_strays()
        try:
            stack.__exit__(type(error), error, error.__traceback__)
        except Exception as another:
            if another is not error:
                report(events.Warned(text=f"while cleaning up: {another}"))
        raise
    stack.close()


def failure_of(error: BaseException) -> PydibError:
    """Any error of a build as one that can be told to a user."""
    if isinstance(error, PydibError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        hint = "make room, or set TMPDIR to a disk with more of it" if error.errno == 28 else ""
        return EngineError(f"{error.strerror}", where=os.fsdecode(error.filename or ""), hint=hint)
    raise error
