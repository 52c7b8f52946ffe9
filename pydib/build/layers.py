"""Layers in a build: joins the store, the tree and the traces (pydib/layer/) with the scripts that run.

What is reused: scripts of phases whose file says `reuse` (by default those in the target, and root.d), when all that
they could see is the same. Scripts of other phases always run, since host scripts may do things beside the tree; what
they change in the tree is a layer all the same, known by its content.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from pydib import __version__, clock, events, paths
from pydib.build.decide import Order
from pydib.build.fingerprints import Fingerprints
from pydib.build.forecast import known_beforehand
from pydib.build.places import Beside, content_of_folder, places
from pydib.build.sharing import Sharing
from pydib.element.hooks import SCRIPT_NAME, name_regex, scripts_in
from pydib.errors import EngineError, ShellEnded
from pydib.host import machine
from pydib.host.attached import AttachedLauncher
from pydib.host.renames import RenameWatch
from pydib.host.script import Ended, Job, Launcher, strays
from pydib.host.unsynced import Unsynced
from pydib.layer import explain, keys
from pydib.layer.lookup import Found, Limits, look_up
from pydib.layer.records import BuildRecord, Outcome, Ran
from pydib.layer.store import Store, StoreUnusable
from pydib.layer.trace import EVERYTHING, Traced
from pydib.layer.tree import PLACE, Author, Tree
from pydib.layer.upkeep import gc
from pydib.masking import Mask
from pydib.phase.phases import Phase
from pydib.runner.phase import Choice, PhaseRun
from pydib.runner.source import Sourced
from pydib.runner.target import first_file_with

_EARLIER_BUILDS = 12


class Layers:
    """The layers of one build."""

    active = True

    def __init__(self, order: Order, store: Store, launcher: Launcher, report: events.Reporter, stack: ExitStack
                 ) -> None:
        self._order, self.store, self._report = order, store, report
        self._recipe = order.prepared.recipe
        self._plan = order.prepared.plan
        self._elements = {element.name: element.path for element in self._plan.resolution.elements}
        self._fold = places(order, self._elements)
        parking = order.layout.build_dir / "parking"
        parking.mkdir()
        self._mask = Mask(self._recipe.hidden)
        self._tree = Tree(store, order.layout.mount, parking, self._fold,
                          private=[order.layout.build_dir, order.layout.image_dir], objection=self._objection)
        stack.callback(self._tree.close)
        if machine.in_user_namespace() and (problem := RenameWatch(self._tree.sees_rename).begin()):
            raise StoreUnusable(problem, hint="build with --no-cache, or as root")
        self._open_tree(launcher)
        self._stack, self._begun = stack, clock.since_1970()
        self._at = self._tree.state
        self._limits = Limits(now=self._begun, max_age=self._recipe.max_age_seconds, offline=self._recipe.offline)
        self.engine = f"{__version__} {content_of_folder(paths.lib_dir())}"
        self._machine = f"{platform.machine()}{' user namespace' if machine.in_user_namespace() else ''}"
        self._fingerprints = Fingerprints(self._elements, self._recipe.cwd, launcher, report)
        self._sharing = Sharing(self._recipe, store, report)
        self._names_kept: tuple[Mapping[str, str] | None, str] = (None, "")
        self._host_env: Mapping[str, str] = {}
        self._lines: list[Ran] = []
        self._used: list[str] = []
        self._rebuilding = ""
        self._stopped_told = self.skeleton = False
        self._earlier: dict[str, list[Outcome]] | None = None

    def _open_tree(self, launcher: Launcher) -> None:
        """As long as nothing lies below the changes they are made in a plain directory, but only if no script waits for
        the disk there: an overlay does not."""
        unsynced = Unsynced()

        def tell_plain(plain: bool) -> None:
            launcher.unsynced = unsynced if plain else None

        self._tree.open(tell_plain=None if unsynced.begin() else tell_plain)

    # between scripts

    def hooks_are_made(self) -> None:
        """The hook tree is complete: watch it."""
        pattern = name_regex(self._recipe.environment.get("RUN_PARTS_REGEX") or SCRIPT_NAME)
        folders = {phase.directory for phase in self._plan.phases}

        def is_script(path: str) -> bool:
            folder, _, name = path.rpartition("/")
            return folder in folders and bool(pattern.search(name))

        self._traced = self._stack.enter_context(Traced(self._order.layout.hooks, is_script))
        self._traced.add_elements(self._elements)
        if self._traced.blind:
            self._tree.stop(f"the kernel does not tell which files scripts open: {self._traced.blind}")

    def enter(self, phase: Phase) -> None:
        """`phase` begins."""
        self._phase = phase
        self.settle("a break point", phase.name)
        if self._tree.state != self._at:
            self._tree.go_to(self._at, skeleton=False)
        self.skeleton = phase.where == "target" and not self._tree.stopped and self._tree.offers_place()
        self._tree.go_to(self._at, skeleton=self.skeleton)

    def leave(self) -> None:
        """The phase is over; what processes that were ended now have changed is taken, too."""
        self.settle("processes left running", self._phase.name)
        if self.skeleton and self._tree.stopped:
            (self._tree.place / PLACE).rmdir()
        self.skeleton = False

    def ready(self) -> None:
        """Let the tree be what the scripts so far made of it."""
        self._tree.go_to(self._at, skeleton=self.skeleton)

    def settle(self, author: str, phase: str = "") -> None:
        """Take what the engine, or a shell, changed in the tree as a layer."""
        self._settle(Author(name=author, phase=phase))

    def _settle(self, author: Author) -> None:
        if self._tree.moved:
            raise _cannot_move(author.name, self._tree.moved, "no script that could run again")
        if self._tree.stopped or self._tree.state != self._at:
            return  # nothing was done to the tree since scripts were found in the store
        self._at = self._tree.settle(author)

    def _objection(self, changes: Path) -> str:
        """Why what lies in `changes` may not be kept: a secret, though a later script may remove it from the image."""
        found = first_file_with(changes, [os.fsencode(value) for value in self._recipe.hidden])
        return f"/{found} holds a secret" if found else ""

    def adopt(self) -> None:
        """What is mounted in the tree now is the engine's."""
        self._tree.mounts.adopt()

    @property
    def final(self) -> str:
        """The state that the tree is in; empty when it is in none that the store knows."""
        return "" if self._tree.stopped or self._at != self._tree.state else self._at

    def kept_bytes(self) -> int:
        """What the layers of the tree take, as it is now."""
        return sum(state.size_bytes for state in self.store.chain(self._at) or ())

    def memo(self, question: str, answer: Callable[[], int]) -> int:
        """What can be told of the tree as it is now, found out once for each state."""
        return self.store.memo(question, self.final, answer) if self.final else answer()

    def later_scripts(self) -> list[tuple[str, str]]:
        """Phase and path of each script of the phases after this one."""
        phases = list(self._plan.phases)
        later = phases[phases.index(self._phase) + 1:]
        pattern = self._recipe.environment.get("RUN_PARTS_REGEX") or SCRIPT_NAME
        return [(phase.name, f"{phase.directory}/{name}") for phase in later
                for name in scripts_in(self._order.layout.hooks / phase.directory, name_pattern=pattern).names]

    def what_later_scripts_see(self, scripts: Sequence[tuple[str, str]]) -> object:
        """Everything that these may depend on; nothing when there are none."""
        if not scripts:
            return []
        volatile = {**keys.named([self._traced.text(path) for _, path in scripts], self._volatile),
                    **keys.of_the_build(self._volatile)}
        return [list(map(list, scripts)), self._shared["environment"], volatile, self._traced.digest(EVERYTHING)]

    def move_to(self, place: Path) -> None:
        """The tree moves to the existing directory `place`; from there on it is an ordinary tree."""
        self.ready()
        self._tree.move_to(place)

    # the keeper of a phase

    def phase_begins(self, run: PhaseRun, sourced: Sourced) -> None:
        """environment.d was sourced: what all scripts of the phase share is known."""
        self._run = run
        self._settle(Author(name="environment.d", phase=run.phase))
        self._share(sourced.env, sourced.cwd, sourced.umask)
        self._sourced = sourced
        if self._phase.where == "host":
            self._host_env = sourced.env
        self._beside = Beside(self._order.layout, self._recipe.output_stem,
                              own=[self._order.wishes.logfile, self._order.wishes.events_file],
                              watched=self._phase.where == "host" and self._phase.reuse)

    def _share(self, env: Mapping[str, str], cwd: str, umask: int | None) -> None:
        variables = keys.variables(env, self._fold, mask=self._mask, salt=self.store.salt)
        self._volatile = variables.if_named
        here = os.umask(0)
        os.umask(here)
        phase = asdict(self._phase)
        self._shared = {
            "phase": keys.digest({name: phase[name] for name in ("name", "where", "directory", "variables")}),
            "environment": self.store.keep_fact(variables.always),
            "directory": self._fold.fold(cwd),
            "umask": f"{here if umask is None else umask:04o}",
            "engine": self.engine,
            "machine": self._machine,
        }

    def choose(self, script: str) -> Choice:
        """Whether `script` must run, and why. It must have the tree before it when it does."""
        self._settle(Author(name="a script that failed", phase=self._phase.name))  # and `set +e` passed over it
        self._script_begun = self._at
        choice = self._choose(script, self._inputs_of(script))
        return self._chosen(script, choice)

    def choose_packages(self, names: Sequence[str], env: Mapping[str, str]) -> Choice:
        """Whether the packages of -p must be installed."""
        self._share(env, "/", None)
        self._script_begun = self._at
        inputs = {**self._shared, **self._outside(), "script": "install-packages",
                  "arguments": keys.digest(list(names)), "tree": self._at}
        return self._chosen("install-packages", self._choose("install-packages", inputs))

    def _chosen(self, script: str, choice: Choice) -> Choice:
        if choice.cached:
            self._shell_if_wanted(script, self._recipe.shell_before, self._script_begun)
            self._shell_if_wanted(script, self._recipe.shell_after, self._at)
        else:
            self._shell_if_wanted(script, self._recipe.shell_before, self._at)
            self.ready()
            self._reason = choice.reason
            self._traced.begin()
        return choice

    def _shell_if_wanted(self, script: str, wanted: str, state: str) -> None:
        """Open a shell where `script` would run, with the tree in `state`.

        Raises:
            ShellEnded: there was one.
        """
        if not wanted or wanted not in (script, script.split("/")[-1]):
            return
        self._at = state
        self.ready()
        run, sourced = self._run, self._sourced
        self._report(events.Note(text=f"A shell, in the environment of {script}"))
        with AttachedLauncher(lambda lines: self._report(events.Note(text=lines[0]))) as launcher:
            launcher.run(Job(argv=["bash"], env=sourced.env, cwd=sourced.cwd, root=run.root))
        raise ShellEnded(f"the shell at {script} has ended; nothing of it is kept")

    def _inputs_of(self, script: str) -> dict[str, str]:
        path = self._order.layout.hooks / script
        inputs = {
            **self._shared, **self._outside(), "path": script, "tree": self._at, "names": self._names_fact(),
            "script": self._traced.digest(script), "mode": f"{path.stat().st_mode & 0o7777:04o}",
        }
        if path.is_symlink():
            inputs["link"] = os.readlink(path)
        return inputs

    def _names_fact(self) -> str:
        """The names in the hook tree, under their digest; told apart by who they are, since they are made anew when
        something changes."""
        names = self._traced.names()
        if names is not self._names_kept[0]:
            self._names_kept = (names, self.store.keep_fact(names))
        return self._names_kept[1]

    def _choose(self, script: str, inputs: dict[str, str]) -> Choice:
        self._inputs = inputs
        if self._tree.stopped:
            return Choice(reason=f"layers are no longer kept: {self._tree.stopped}")
        if not self._phase.reuse:
            return Choice(reason=f"scripts of {self._phase.directory} always run")
        if self._must_rebuild(script):
            return Choice(reason=f"--rebuild-from {self._recipe.rebuild_from}")
        key = keys.digest(inputs)
        found = self._look_up(self.store.outcomes(key), self._usable)
        if found.outcome is None:
            found = self._sharing.find(key, self._look_up_elsewhere, found.objection)
        if found.outcome is not None:
            self._take_over(script, found.outcome)
            return Choice(cached=True)
        return Choice(reason=found.objection or self._explain(script, inputs))

    def _look_up(self, outcomes: Sequence[Outcome], usable: Callable[[str], str]) -> Found:
        return look_up(outcomes, volatile=self._volatile, digest_now=self._traced.digest, limits=self._limits,
                       usable=usable)

    def _look_up_elsewhere(self, outcomes: Sequence[Outcome], bring: Callable[[str], str]) -> Found:
        return self._look_up(outcomes, lambda state: bring(state) or self._usable(state))

    def _must_rebuild(self, script: str) -> bool:
        wanted = self._recipe.rebuild_from
        self._rebuilding = self._rebuilding or (script if wanted and wanted in (script, script.split("/")[-1]) else "")
        return bool(self._rebuilding)

    def _usable(self, state: str) -> str:
        problem = self.store.claim(state) if state != keys.EMPTY else ""
        if problem:
            return problem
        kept = self.store.state(state)
        return self._tree.mounts.can_make(kept.mounts) if kept is not None else ""

    def _take_over(self, script: str, outcome: Outcome) -> None:
        self._at = outcome.after
        self._used.append(outcome.after)
        self._lines.append(Ran(script=script, element=outcome.element, phase=self._phase.name, cached=True, reason="",
                               before=outcome.before, after=outcome.after, seconds=outcome.seconds,
                               output=outcome.output, outcome=keys.digest(self._inputs)))

    def _explain(self, script: str, inputs: Mapping[str, str]) -> str:
        now = explain.Now(inputs=inputs, chain=self.store.chain(self._at) or (),
                          ran=[line.script for line in self._lines if not line.cached])
        return explain.why_new(now, self._earlier_of(script), self.store.fact, self.store.chain)

    def _earlier_of(self, script: str) -> list[Outcome]:
        """What the last builds know of `script`, the newest first."""
        if self._earlier is None:
            self._earlier = {}
            for number, build in enumerate(self.store.builds()):
                if number >= _EARLIER_BUILDS:
                    break
                for line in build.scripts:
                    self._earlier.setdefault(line.script, []).extend(
                        one for one in self.store.outcomes(line.outcome) if one.after == line.after)
        return self._earlier.get(script, [])

    def must_run_again(self, script: str) -> bool:
        """Whether `script` did what layers without root cannot carry, so that the tree was set back, as a plain
        directory, and it has to run once more.

        Raises:
            EngineError: it did something beside the tree, too, which a second run would meet.
        """
        moved = self._tree.moved
        if not moved:
            return False
        _, changed_hooks = self._traced.end(script)
        objection = self._not_reusable(script, changed_hooks)
        if objection or self._tree.stopped or strays() or not self._tree.become_plain(with_changes=False):
            raise _cannot_move(script, moved, objection or "something still uses the tree")
        self._tree.stop(f"{script} renames {moved}, a folder of a lower layer, which takes root")
        self._tell_stopped()
        self._report(events.Note(text=f"{script} runs once more, in a plain directory"))
        self._traced.begin()
        return True

    def _tell_stopped(self) -> None:
        if self._tree.stopped and not self._stopped_told:
            self._stopped_told = True
            self._report(events.Note(text=f"no more layers are kept in this build: {self._tree.stopped}"))

    def has_run(self, script: str, ended: Ended, output: list[str]) -> None:
        """`script` has run: take what it did as a layer, and write down under what."""
        element = self._plan.owner(script)
        trace, changed_hooks = self._traced.end(script)
        objection = self._not_reusable(script, changed_hooks)
        before = self._at
        left = strays()
        if left:
            self._tree.stop(f"{script} left processes running: {' '.join(left)}")
        self._settle(Author(name=script, element=element, phase=self._phase.name))
        outcome = Outcome(
            script=script, element=element, phase=self._phase.name, inputs=self._inputs, trace=trace,
            named=self._named(script, trace), before=before, after=self._at,
            not_reusable=objection, created=clock.since_1970(), seconds=ended.seconds, output="",
            expires=self._expires(element))
        self._write_down(outcome, output)
        self._shell_if_wanted(script, self._recipe.shell_after, self._at)

    def _write_down(self, outcome: Outcome, output: list[str]) -> None:
        name = keys.digest(self._inputs)
        with self._keeping():
            outcome = replace(outcome, output=self.store.keep_log(output))
            if not self._tree.stopped and self._phase.reuse:
                self.store.keep_outcome(name, outcome)
        self._used.append(self._at)
        self._lines.append(Ran(script=outcome.script, element=outcome.element, phase=outcome.phase, cached=False,
                               reason=self._reason, before=outcome.before, after=outcome.after,
                               seconds=outcome.seconds, output=outcome.output, outcome=name))
        self._tell_stopped()

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Around writes to the store: a store that takes no more is no reason to fail."""
        try:
            yield
        except OSError as error:
            self._tree.stop(f"the store cannot be written: {error.strerror}")

    def _named(self, script: str, trace: Mapping[str, str]) -> dict[str, str]:
        """The volatile variables that count for a script that opened what is in `trace`."""
        of_the_build = keys.of_the_build(self._volatile)
        if EVERYTHING not in trace:  # otherwise it may have opened anything
            in_tree = [path for path in self._traced.names() if path.startswith(keys.PROGRAMS_IN_TREE)]
            of_the_build = keys.named(map(self._traced.text, in_tree), of_the_build)
        return {**of_the_build, **keys.named(map(self._traced.text, (script, *trace)), self._volatile)}

    def _not_reusable(self, script: str, changed_hooks: bool) -> str:
        """What the script did beside the tree, which no layer has."""
        new = self._beside.new()
        if changed_hooks and self._phase.where == "host":
            return "it changes the hook tree"
        return f"it leaves {new} beside the tree" if new else ""

    def _outside(self) -> dict[str, str]:
        """What all elements of the build say of the outside world, as an input of each script: whoever installs a
        package sees the archive that another element is made from."""
        told = "\n".join(dict.fromkeys(filter(None, self._fingerprints.told(self._host_env).values())))
        fact = keys.concealed(told, self._mask, self.store.salt)
        return {"fingerprint": self.store.keep_fact(fact)} if told else {}

    def _expires(self, element: str) -> bool:
        """Whether nothing tells when the outcome of a script of `element` is out of date: in root.d its own element
        must, in the target any element may."""
        told = self._fingerprints.told(self._host_env)
        return not (told.get(element) if self._phase.where == "host" else any(told.values()))

    # the end

    def finish(self, *, failed: bool = False) -> None:
        """Write the build down."""
        with self._keeping():
            self.store.used([state.id for name in self._used[-1:] for state in self.store.chain(name) or ()])
            self.store.keep_build(BuildRecord(
                started=self._begun, elements=self._plan.resolution.names, image=str(self._recipe.output_stem),
                scripts=tuple(self._lines), final="" if self._tree.stopped else self._at,
                ended="failed" if failed else "done",
                plan=self.store.keep_fact(known_beforehand(self._order.prepared, self.store.salt))))
            self._sharing.give(self._lines)
            if self.store.added:
                gc(self.store, most_bytes=self._recipe.layers_bytes)


def _cannot_move(author: str, moved: str, why: str) -> EngineError:
    return EngineError(f"{author} renames {moved}, which layers without root cannot do, and it cannot be run again in "
                       f"a plain directory: {why}", hint="build with --no-cache, or as root")
