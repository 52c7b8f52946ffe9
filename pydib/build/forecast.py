"""What a build would find among the layers, told beforehand: reads the store and the elements, runs nothing.

Before the scripts ahead of it have run, only some of a script's inputs are known. Each of these is compared with what
it was when the script last ran: its bytes and mode, the files that it opened, the phase file, pydib, the names that
elements bring into the hook tree, environment.d, and the caller's variables. What depends on another script is said as
such. The outside world is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydib import __version__, clock, paths
from pydib.build.decide import Prepared
from pydib.build.places import content_of_folder
from pydib.layer import explain, keys
from pydib.layer.lookup import Limits
from pydib.layer.records import BuildRecord, Outcome, Ran
from pydib.layer.store import Store
from pydib.layer.trace import ABSENT, EVERYTHING, digest_of
from pydib.masking import Mask
from pydib.phase.phases import Phase
from pydib.phase.plan import Step

CACHED, RUNS, DEPENDS = "cached", "runs", "depends"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is to be expected of a script: `verdict` is cached, runs, or depends (on what another script leaves);
    `reason` goes on with it."""

    script: str
    verdict: str
    reason: str = ""

    @property
    def text(self) -> str:
        """For people."""
        return {CACHED: "cached", RUNS: f"runs, because: {self.reason}",
                DEPENDS: f"runs if {self.reason}"}[self.verdict]


def known_beforehand(prepared: Prepared, salt: bytes) -> dict[str, Any]:
    """What can be known before a build of what its scripts will see, for the record of the build."""
    recipe, plan = prepared.recipe, prepared.plan
    files = [(entry.target, entry.source) for entry in plan.entries if not entry.is_dir]
    variables = keys.variables(recipe.environment, keys.Fold([]), mask=Mask(recipe.hidden), salt=salt)
    return {
        "environment": dict(variables.always), "of the build": keys.of_the_build(variables.if_named),
        "image name": recipe.output_name, "install type": recipe.install_type or "source",
        "packages": list(recipe.packages),
        "scripts": [step.name for step in plan.steps if step.kind == "script"],
        "environment.d": {target: digest_of(source) for target, source in files if target.startswith("environment.d/")},
        "names": {target: f"{source.lstat().st_mode:o}" for target, source in files
                  if not _is_of_a_phase(target, plan.phases)},
    }


def _is_of_a_phase(target: str, phases: tuple[Phase, ...]) -> bool:
    return target.partition("/")[0] in {phase.directory for phase in phases}


def forecast(prepared: Prepared, store: Store) -> list[Forecast]:
    """For each script of the plan, in order, what a build would do."""
    if not prepared.recipe.layers:
        return [Forecast(script=step.name, verdict=RUNS, reason="--no-cache") for step in _scripts(prepared)]
    return list(_Forecaster(prepared, store).all())


def _scripts(prepared: Prepared) -> list[Step]:
    return [step for step in prepared.plan.steps if step.kind == "script"]


class _Forecaster:
    def __init__(self, prepared: Prepared, store: Store) -> None:
        self._prepared, self._recipe, self._store = prepared, prepared.recipe, store
        self._phases = {phase.name: phase for phase in prepared.plan.phases}
        self._elements = {element.name: element.path for element in prepared.plan.resolution.elements}
        self._engine = f"{__version__} {content_of_folder(paths.lib_dir())}"
        self._limits = Limits(now=clock.since_1970(), max_age=self._recipe.max_age_seconds,
                              offline=self._recipe.offline)
        self._last = self._last_build()
        self._old: Mapping[str, Any] = (self._store.fact(self._last.plan) if self._last else None) or {}
        self._now = known_beforehand(prepared, store.salt if self._recipe.hidden and self._last else b"")
        self._common = self._what_changed_for_all()

    def _last_build(self) -> BuildRecord | None:
        """The last build of this output, or of these elements, or any."""
        try:
            builds = list(self._store.builds())
        except OSError:  # there is none yet, or it is somebody else's
            return None
        image, names = str(self._recipe.output_stem), list(self._prepared.plan.resolution.names)
        return next((build for build in builds if build.image == image),
                    next((build for build in builds if list(build.elements) == names), None))

    def _what_changed_for_all(self) -> str:
        """What every script sees, and differs from the last build."""
        if self._last is None:
            return ""
        old, now = self._old, self._now
        changes = []
        if old and old["environment"] != now["environment"]:
            changes.append(explain.environment_change(old["environment"], now["environment"]))
        if old and old["environment.d"] != now["environment.d"]:
            name = next(name for name in sorted({*old["environment.d"], *now["environment.d"]})
                        if old["environment.d"].get(name) != now["environment.d"].get(name))
            changes.append(f"{name} changed")
        elif old and old["names"] != now["names"]:
            changes.append(explain.names_change(old["names"], now["names"]))
        return "; ".join(changes)

    def all(self) -> Iterator[Forecast]:
        """One after the other: what a script that runs may leave matters to those after it."""
        lines = {line.script: line for line in self._last.scripts} if self._last else {}
        ran, phase_before = "", ""
        rebuilding = False
        for step in _scripts(self._prepared):
            if phase_before == "install" != step.phase and self._has_changed("packages"):
                ran = "install-packages"
            phase_before = step.phase
            wanted = self._recipe.rebuild_from
            rebuilding = rebuilding or (bool(wanted) and wanted in (step.name, step.name.rpartition("/")[2]))
            phase = self._phases[step.phase]
            reason = self._reason(step, phase, lines.get(step.name))
            if rebuilding and phase.reuse:
                reason = f"--rebuild-from {wanted}"
            if not phase.reuse:
                yield Forecast(script=step.name, verdict=RUNS, reason=f"scripts of {phase.directory} always run"
                               + (f"; {reason}" if reason and step.name in lines else ""))
            elif reason:
                yield Forecast(script=step.name, verdict=RUNS, reason=reason)
            elif ran:
                yield Forecast(script=step.name, verdict=DEPENDS, reason=f"{ran} leaves something else")
            else:
                yield Forecast(script=step.name, verdict=CACHED)
            ran = step.name if reason else ran

    def _reason(self, step: Step, phase: Phase, line: Ran | None) -> str:
        """What is known to differ from the last time; empty when nothing is."""
        if line is None:
            return explain.NO_LAYER_YET
        outcome = next((one for one in self._store.outcomes(line.outcome) if one.after == line.after), None)
        if outcome is None:
            return explain.NO_LAYER_YET if phase.reuse else ""
        known = [*self._own_changes(step, phase, outcome), self._common, self._gone_before(line)]
        return "; ".join(filter(None, known)) or (
            outcome.not_reusable or self._limits.objection(outcome) or self._missing(outcome))

    def _has_changed(self, fact: str) -> bool:
        return bool(self._old) and self._old.get(fact) != self._now[fact]

    def _gone_before(self, line: Ran) -> str:
        """A script that the last build had before this one, and that left something, is there no more."""
        assert self._last is not None
        gone = set(self._old.get("scripts", ())) - set(self._now["scripts"])
        before = list(self._last.scripts)[:list(self._last.scripts).index(line)]
        missing = next((one.script for one in before if one.script in gone and one.before != one.after), "")
        return f"it no longer builds on {missing}" if missing else ""

    def _own_changes(self, step: Step, phase: Phase, outcome: Outcome) -> Iterator[str]:
        source, inputs = Path(step.source), outcome.inputs
        if digest_of(source) != inputs.get("script"):
            yield "the script changed"
        mode = f"{source.stat().st_mode & 0o7777:04o}" if source.exists() else ""
        if mode and mode != inputs.get("mode"):
            yield f"the script's mode: {inputs.get('mode')} -> {mode}"
        facts = asdict(phase)
        if keys.digest({name: facts[name] for name in ("name", "where", "directory", "variables")}) != inputs["phase"]:
            yield "the phase file changed"
        if inputs.get("engine") != self._engine:
            yield "pydib changed"
        if phase.name != "root" and self._has_changed("install type"):
            yield f"the install type: {self._old['install type']} -> {self._now['install type']}"
        if "IMAGE_NAME" in outcome.named and self._has_changed("image name"):
            yield f"environment IMAGE_NAME: {outcome.named['IMAGE_NAME']} -> {self._now['image name']}"
        yield from self._changes_of_the_build(outcome)
        changed = [path for path, digest in outcome.trace.items() if self._differs(path, digest)]
        if changed:
            yield explain.trace_change(outcome.script, changed)

    def _changes_of_the_build(self, outcome: Outcome) -> Iterator[str]:
        """What is another image's, and the script, or what it opened, asks for."""
        assert self._last is not None
        asked = keys.of_the_build(outcome.named)
        now = self._now["of the build"]
        old = {name: value for name, value in self._old.get("of the build", now).items() if name in asked}
        if (now := {name: value for name, value in now.items() if name in asked}) != old:
            yield explain.environment_change(old, now)
        if asked and list(self._last.elements) != list(self._prepared.plan.resolution.names):
            yield "the list of elements changed"

    def _differs(self, path: str, digest: str) -> bool:
        """Whether a file that the script opened is another one now. Of files that scripts of extra-data.d and the
        engine put into the hook tree, and of folders there, nothing is known."""
        if path == EVERYTHING or digest.startswith("folder "):
            return False
        source = self._source(path)
        if source is None:
            return False
        return digest_of(source) != digest

    def _source(self, path: str) -> Path | None:
        """The file of an element that is, or becomes, a path of a trace."""
        for name, folder in self._elements.items():
            if path.startswith(f"element {name}/"):
                return folder / path[len(f"element {name}/"):]
        for entry in reversed(self._prepared.plan.entries):
            if entry.target == path:
                return entry.source
            if entry.is_dir and path.startswith(entry.target + "/"):
                found = entry.source / path[len(entry.target) + 1:]
                if digest_of(found) != ABSENT:
                    return found
        return None

    def _missing(self, outcome: Outcome) -> str:
        chain = self._store.chain(outcome.after)
        if chain is None:
            return "a layer that it is built on is missing"
        gone = next((state for state in chain if state.upper and not (self._store.layers / state.upper).is_dir()), None)
        return f"the layer of {gone.made_by} is missing" if gone else ""
