"""The state of a running build, and what the engine does between the phases."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from pydib import blockdev, environment, events, paths, sizes
from pydib.blockdev import state as disk_state
from pydib.build import space
from pydib.build.decide import Order
from pydib.build.finished import Finished
from pydib.build.layers import Layers
from pydib.build.moment import VARIABLE, WITHOUT_ARCHIVE, of_archives
from pydib.build.no_layers import NoLayers
from pydib.build.open_layers import open_layers
from pydib.build.outputs import publish_outputs, staged
from pydib.build.step import step
from pydib.errors import EngineError, RecipeError
from pydib.host import machine
from pydib.host.inside import write_inside
from pydib.host.mount import mounted, unmount_below
from pydib.host.script import Job, Launcher, end_strays
from pydib.host.sight import kept_in_sight
from pydib.image.check import aci_manifest, gzip_program
from pydib.image.pack import pack
from pydib.layer.keys import digest
from pydib.masking import Mask
from pydib.phase.phases import Phase
from pydib.phase.plan import PACKED_TYPES
from pydib.recipe import RANDOM_SEED, truth
from pydib.runner import target
from pydib.runner.breaks import Place, breaks_from, run_between_breaks
from pydib.runner.hooktree import write_install_type
from pydib.runner.normal import age, normalise
from pydib.runner.phase import TARGET_TREE, PhaseRun, Tail

EFI_ELEMENT = "block-device-efi"
FIRST_OF_OUTPUTS = "pack-tree"
"""The tree is finished before this action; what comes after it makes outputs."""


@contextmanager
def written_down(build: Build) -> Iterator[None]:
    """The build's record, for `pydib why` and its like, however the build ends."""
    try:
        yield
    except BaseException:
        build.layers.finish(failed=True)
        raise
    build.layers.finish()


class Build:
    """The state of one running build, and the engine's actions between the phases."""

    def __init__(self, order: Order, report: events.Reporter, stack: ExitStack) -> None:
        self.order = order
        self.recipe = order.prepared.recipe
        self.plan = order.prepared.plan
        self.layout = order.layout
        self.graph = order.prepared.graph
        self.report = report
        self.stack = stack
        self.system = stack.enter_context(ExitStack())
        self.disk_stack = stack.enter_context(ExitStack())
        self.system_on_disk = self.disk_stack.enter_context(ExitStack())
        self.tail = Tail(report, Mask(self.recipe.hidden))
        self.breaks = breaks_from(self.recipe.environment, secrets=self.recipe.secrets)
        self.launcher = stack.enter_context(Launcher(self.tail))
        self.layers: NoLayers | Layers = NoLayers()
        self.env = environment.for_host(
            self.recipe, {element.name: element.path for element in self.plan.resolution.elements}, self.layout,
            python=sys.executable, answers=self._answers(), without_root=machine.in_user_namespace())
        self.disk_variables: dict[str, str] = {}
        self.disk_image: Path | None = None
        self.finished: Finished | None = None
        self.handed_out = False
        self.size_bytes = 0
        self._moment = self.recipe.source_date

    @property
    def finished_tree(self) -> Path:
        """The tree after the phase post-root. In tree mode it stays where it is."""
        return self.layout.mount if self.order.prepared.in_tree_mode else self.layout.built

    def _answers(self) -> dict[str, str]:
        answers = self.graph.answers
        return {"DIB_ROOT_LABEL": answers.root_label, "DIB_ROOT_FSTYPE": answers.root_fstype,
                "DIB_BOOT_LABEL": answers.boot_label, "DIB_MOUNTPOINTS": "|".join(answers.mount_points)}

    def make_room(self) -> None:
        """Put the build on a tmpfs when there is memory for it (C-124), and make its folders."""
        needed = 2 * self.recipe.min_tmpfs_gib * sizes.GIB
        wanted = self.recipe.tmpfs and "hardened" not in self.recipe.environment.get("GENTOO_PROFILE", "")
        if wanted and machine.memory_bytes() >= needed:
            for place in (self.layout.build_dir, self.layout.image_dir):
                self.stack.enter_context(mounted("tmpfs", place, fstype="tmpfs", options="mode=0700,size=80%"))
                os.write(self.order.filesystems, f"{place.stat().st_dev}\n".encode())
                self.stack.callback(unmount_below, place, itself=False)  # what scripts have left mounted in there
        elif wanted:
            self.report(events.Warned(text=f"Not enough RAM to use tmpfs: {machine.memory_bytes() // sizes.GIB} GiB, "
                                           f"but --min-tmpfs asks for twice {self.recipe.min_tmpfs_gib} GiB"))
        for folder in (self.layout.mount, self.layout.hooks, self.layout.block_device_params.parent):
            folder.mkdir()
            folder.chmod(0o755)

    def begin_layers(self) -> None:
        """Make the tree: empty, and in layers where these can be kept."""
        self.layers = open_layers(self.order, self.launcher, self.report, self.stack)

    def record_disk(self) -> None:
        """Write down what scripts may ask of the disk (C-206, C-223)."""
        disk_state.record(self.layout.block_device_params, self.graph, build_dir=self.layout.build_dir,
                          image_dir=self.layout.image_dir, mount_base=self.layout.mount, size_bytes=self.size_bytes,
                          tree_mode=self.order.prepared.in_tree_mode)

    # scripts

    def scripts(self, phase: Phase) -> None:
        """Run the scripts of `phase`, and end what they left running. Host phases without a folder have break points
        too; target phases, and optional ones, then do not happen at all (C-105, C-171)."""
        in_target = phase.where == "target"
        if (in_target or phase.optional) and not (self.layout.hooks / phase.directory).is_dir():
            return
        if self.handed_out:
            return
        self.layers.enter(phase)
        run = self._phase_run(phase)
        host = Place(env={**self.env, **self.disk_variables}, cwd=str(self.recipe.cwd))
        with ExitStack() as inside:
            if in_target:
                inside.enter_context(target.hook_tree_inside(self.layout.hooks, self.layout.mount,
                                                             has_place=self.layers.skeleton))
                self.layers.adopt()
            run_between_breaks(run, self.breaks, host, self.launcher, self.tail, self.report, self.layers)
            self._end_strays(phase)
        self.layers.leave()

    def _phase_run(self, phase: Phase) -> PhaseRun:
        inside = phase.where == "target"
        env = self._environment(phase)
        return PhaseRun(
            phase=phase.name, directory=phase.directory, tree=self.layout.hooks,
            seen_as=TARGET_TREE if inside else str(self.layout.hooks), env=env,
            cwd="/" if inside else str(self.recipe.cwd), root=self.layout.mount if inside else None,
            failure=phase.failure, owner=self.plan.owner, source=self.plan.source,
            around=partial(self._around, phase) if phase.where == "host" else nullcontext)

    @contextmanager
    def _around(self, phase: Phase) -> Iterator[None]:
        """What is done before and after each script on the host."""
        with ExitStack() as around:
            if _lends_devices(phase):
                around.enter_context(target.devices_lent(self.layout.mount))
            around.enter_context(kept_in_sight(self._own_places(), self._tell_hidden))
            yield

    def _own_places(self) -> list[Path]:
        places = [self.layout.build_dir, self.layout.image_dir, paths.lib_dir(), self.recipe.image_cache / "layers",
                  self.order.staging_dir]
        return [path for path in places if path.is_dir()]

    def _tell_hidden(self, mount_point: Path) -> None:
        self.report(events.Warned(text=f"the script left a mount at {mount_point}, which hid where the build works; "
                                       "it is unmounted"))

    def _environment(self, phase: Phase) -> Mapping[str, str]:
        env = dict(self.env)
        if "TARGET_ROOT" in phase.variables:
            env["TARGET_ROOT"] = str(self.layout.mount)
        if "IMAGE_BLOCK_DEVICE" in phase.variables:
            env.update(self.disk_variables)
        if "IMAGE_FILE" in phase.variables and self.disk_image:
            env["IMAGE_FILE"] = str(self.disk_image)
        return environment.for_target(env) if phase.where == "target" else env

    def _end_strays(self, phase: Phase) -> None:
        names = end_strays()
        if names:
            self.report(events.Warned(text=f"phase {phase.name} left processes running, now ended: {_counted(names)}"))

    # actions

    def _refuse_missed_shell(self) -> None:
        """A build that was to lead to a shell makes no outputs, when it passed no such script either."""
        wanted = self.recipe.shell_before or self.recipe.shell_after
        if wanted:
            raise RecipeError(f"the build came to no script {wanted}",
                              hint="`pydib plan` lists the scripts; in device mode there are no layers, and no shell, "
                                   "after block-device.d")

    def actions(self, names: tuple[str, ...]) -> None:
        """Carry out the engine's actions of that name."""
        for name in names:
            if name == FIRST_OF_OUTPUTS:
                self._refuse_missed_shell()
                self.finished = Finished(self.order, self.layers, size_bytes=self.size_bytes, seed=self.seed,
                                         moment=self.moment)
                self.handed_out = self.finished.at_hand
            if self.handed_out:
                continue
            with step(name, self.report):
                self.layers.ready()
                _ACTIONS[name](self)
                self.layers.settle(f"pydib {name}")

    def check_root(self) -> None:
        """root.d must have filled the target, and told from which archives: their date is what scripts go by from now
        on."""
        target.check_root(self.layout.mount)
        if self._moment is None:
            self._moment = of_archives(self.layout.mount)
        self.env[VARIABLE] = str(self.moment)

    @property
    def moment(self) -> int:
        """The moment for which the image is made, in seconds since 1970."""
        return WITHOUT_ARCHIVE if self._moment is None else self._moment

    @property
    def seed(self) -> str:
        """What identifiers are derived from; empty when they are to be new."""
        if self.recipe.seed == RANDOM_SEED:
            return ""
        facts = {"seed": self.recipe.seed, "elements": list(self.plan.resolution.names), "arch": self.recipe.arch,
                 "disk": disk_state.config_of(self.graph), "moment": self.moment}
        return digest(facts)

    def install_type(self) -> None:
        """Make the install type visible to the following phases."""
        write_install_type(self.layout.hooks, self.recipe.install_type or "source")

    def replace_resolv_conf(self) -> None:
        """Give the target the host's name servers."""
        target.replace_resolv_conf(self.layout.mount)

    def mount_system(self) -> None:
        """Mount proc, dev and sys: on the tree first, on the disk later."""
        stack = self.system_on_disk if self.disk_variables else self.system
        stack.enter_context(target.system_mounts(self.layout.mount))
        self.layers.adopt()

    def install_packages(self) -> None:
        """Install what -p named, without environment.d, through a shell in the target as DIB does (C-142)."""
        if not self.recipe.packages:
            return
        line = "install-packages " + " ".join(self.recipe.packages)
        env = environment.for_target(self.env)
        choice = self.layers.choose_packages(self.recipe.packages, env)
        if choice.cached:
            self.report(events.ScriptCached(phase="install", script="install-packages", element=""))
            return
        self.tail.clear()
        self.report(events.ScriptStarted(phase="install", script="install-packages", element="", reason=choice.reason))
        job = Job(argv=["sh", "-c", line], env=env, root=self.layout.mount)
        ended = self.launcher.run(job)
        if self.layers.must_run_again("install-packages"):
            self.tail.clear()
            ended = self.launcher.run(job)
        if ended.code:
            tail = "\n".join("    " + text for text in self.tail.lines)
            error = EngineError(f"the packages named with -p could not be installed\n{tail}", where=line,
                                hint="check the names; the target needs install-packages, which an operating "
                                     "system's element brings")
            error.exit_code = ended.code
            raise error
        self.layers.has_run("install-packages", ended, self.tail.output)

    def release_tree(self) -> None:
        """Unmount all, and move the tree aside. In tree mode it stays, and `built` leads to it (C-151)."""
        self.system.close()
        target.release_tree(self.layout.mount)
        for variable in ("EXTRA_DETACH", "EXTRA_UNMOUNT"):
            self._detach(self.recipe.environment.get(variable, ""))
        if self.order.prepared.in_tree_mode:
            self.layout.built.symlink_to(self.layout.mount.name)
        elif self.layers.active:
            self.layout.built.mkdir()
            self.layers.move_to(self.layout.built)
            self.layout.mount.rmdir()
        else:
            self.layout.mount.rename(self.layout.built)

    def _detach(self, command: str) -> None:
        """Run what the caller wants run when the tree is unmounted (C-026): a command, its words split at blanks."""
        if command.split():
            self.launcher.run(Job(argv=command.split(), env=self.env, cwd=str(self.recipe.cwd)))

    def measure(self) -> None:
        """Decide the size of the disk image from the tree (C-224)."""
        recipe, names = self.recipe, " ".join(self.plan.resolution.names)
        given = recipe.image_size_gib
        tree_kib = 0 if given is not None else self.layers.memo(
            "disk usage in KiB", lambda: target.tree_size_kib(self.finished_tree))
        size_kib = sizes.image_size_kib(
            tree_kib=tree_kib, given_gib=given, extra_mib=recipe.image_extra_size_mib,
            journal_mib=recipe.journal_size_mib or sizes.DEFAULT_JOURNAL_MIB,
            ext4_root=self.graph.answers.root_fstype == "ext4", efi=EFI_ELEMENT in names)
        self.size_bytes = size_kib * sizes.KIB
        self.env["DIB_IMAGE_SIZE"] = str(size_kib)
        self.record_disk()
        self.report(events.Note(text=f"Tree {tree_kib} KiB, image {size_kib} KiB"))
        self._show_usage()

    def _show_usage(self) -> None:
        full = truth(self.recipe.environment.get("DIB_SHOW_IMAGE_USAGE_FULL", ""))
        if full or truth(self.recipe.environment.get("DIB_SHOW_IMAGE_USAGE", "")):
            for line in target.usage(self.finished_tree, full=full).splitlines():
                self.report(events.Note(text=line))

    def create_disk(self) -> None:
        """Partition, make filesystems, mount them."""
        self.layout.mount.mkdir()
        self.layout.mount.chmod(0o755)
        disk = self.disk_stack.enter_context(blockdev.assembled(
            self.graph, image_dir=self.layout.image_dir, size_bytes=self.size_bytes, mount_base=self.layout.mount,
            report=self.report, partition_mapper=self.recipe.partition_mapper, seed=self.seed, moment=self.moment))
        self.system_on_disk = self.disk_stack.enter_context(ExitStack())
        self.disk_image = disk.main_image
        state_dir = disk_state.state_dir(self.layout.build_dir)
        self.disk_stack.callback(disk_state.forget, state_dir)
        disk_state.write_state(state_dir, self.graph, disk, mount_base=self.layout.mount)
        self.disk_variables = {"IMAGE_BLOCK_DEVICE": disk.image_block_device,
                               "IMAGE_BLOCK_DEVICES": disk_state.shown_devices(disk.image_block_devices.items())}
        write_inside(self.layout.built, "etc", "fstab", disk.fstab)

    def copy_tree(self) -> None:
        """Copy the tree onto the disk."""
        target.copy_tree(self.layout.built, self.layout.mount)

    def write_fstab(self) -> None:
        """Tree mode: the tree becomes what a mounted disk would show. Partitions that do not fit are told already now.
        """
        self.layout.built.unlink()
        if self.order.prepared.needs_disk:
            self.graph.layouts(self.size_bytes)
        blockdev.prepare_tree(self.graph, self.layout.mount)

    def restore_resolv_conf(self) -> None:
        """Give the image its own resolv.conf back."""
        target.restore_resolv_conf(self.layout.mount)

    def tidy_tree(self) -> None:
        """Keep temporary files, logs and secrets out of the image."""
        target.tidy_tree(self.layout.mount)
        self._refuse_secrets()

    def _refuse_secrets(self) -> None:
        found = target.first_file_with(self.layout.mount, [os.fsencode(value) for value in self.recipe.hidden])
        if found:
            raise EngineError(f"the value of a secret ({', '.join(self.recipe.secrets)}) is in the image",
                              where=f"/{found}", hint="remove it in a later script, or do not call it a secret")

    def pack_tree(self) -> None:
        """Keep out of the image what tells of this very build, and make the outputs that are made of the tree; /dev and
        the like belong to the host and are unmounted first."""
        normalise(self.layout.mount, self.moment)
        kinds = [kind for kind in self.order.prepared.outputs if kind in PACKED_TYPES]
        if kinds:
            self._release_system()
        for kind in kinds:
            pack(self.layout.mount, staged(self.order, kind), kind=kind, gzip=gzip_program(self.recipe),
                 manifest=aci_manifest(self.recipe), moment=self.moment)
        if "aci" in kinds and aci_manifest(self.recipe) is None:
            self.report(events.Warned(text="the aci output has no manifest, so it cannot be run; "
                                           "name one with the environment variable ACI_MANIFEST"))

    def publish(self) -> None:
        """Give the outputs their final names, those of this build or those of an earlier one."""
        if self.handed_out and self.finished is not None:
            self.finished.hand_out(self.report)
            return
        temporary = self._own_bytes()
        publish_outputs(self.order, self.disk_image, self.report)
        if self.finished is not None:
            self.finished.keep()
        made = [self.recipe.output(kind) for kind in self.order.prepared.outputs]
        space.keep(self.order.prepared, space.Space(
            temporary=temporary, layers=self.layers.kept_bytes(),
            outputs=sum(path.stat().st_blocks * 512 for path in made if path.exists())))

    def _own_bytes(self) -> int:
        """What the disk takes in the build's own directories and, where it is in no layers, the tree."""
        disk = self.disk_image.stat().st_blocks * 512 if self.disk_image and self.disk_image.exists() else 0
        if self.layers.active or not self.finished_tree.exists():
            return disk
        return disk + target.tree_size_kib(self.finished_tree) * sizes.KIB

    def release_disk(self) -> None:
        """Unmount and detach the disk."""
        self._detach(self.recipe.environment.get("EXTRA_DETACH", ""))
        self._release_system()
        for point in blockdev.mount_points(self.graph):
            age(self.layout.mount / point.lstrip("/"), self.moment)
        self.disk_stack.close()

    def _release_system(self) -> None:
        """Unmount proc, dev and sys, from the disk or from the tree."""
        self.system_on_disk.close()
        self.system.close()

    def assemble_disk(self) -> None:
        """Tree mode: make the disk from the tree, unless no output is made of it."""
        self._detach(self.recipe.environment.get("EXTRA_DETACH", ""))
        self._release_system()
        left = unmount_below(self.layout.mount, itself=False)
        if left:
            self.report(events.Note(text=f"unmounted what was left in the tree: {', '.join(map(str, left))}"))
        if not self.order.prepared.needs_disk:
            return
        work = self.layout.build_dir / "filesystems"
        work.mkdir()
        self.disk_image = blockdev.assemble_tree(
            self.graph, tree=self.layout.mount, image_dir=self.layout.image_dir, work_dir=work,
            size_bytes=self.size_bytes, report=self.report, seed=self.seed, moment=self.moment)


def _lends_devices(phase: Phase) -> bool:
    """Whether scripts may run programs of a tree that has no /dev, which only root could fill."""
    return phase.where == "host" and "TARGET_ROOT" in phase.variables and machine.in_user_namespace()


def _counted(names: Sequence[str]) -> str:
    """The names with how often each is there.

    >>> _counted(["sleep", "bash", "sleep"])
    'sleep (2) bash'
    """
    return " ".join(name if count == 1 else f"{name} ({count})" for name, count in Counter(names).most_common(20))


_ACTIONS: dict[str, Callable[[Build], None]] = {
    "check-root": Build.check_root,
    "install-type": Build.install_type,
    "replace-resolv-conf": Build.replace_resolv_conf,
    "mount-system": Build.mount_system,
    "install-packages": Build.install_packages,
    "release-tree": Build.release_tree,
    "measure": Build.measure,
    "create-disk": Build.create_disk,
    "copy-tree": Build.copy_tree,
    "restore-resolv-conf": Build.restore_resolv_conf,
    "tidy-tree": Build.tidy_tree,
    "pack-tree": Build.pack_tree,
    "release-disk": Build.release_disk,
    "write-fstab": Build.write_fstab,
    "assemble-disk": Build.assemble_disk,
}
