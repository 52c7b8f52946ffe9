"""Layers with the real kernel: which scripts run when something changed, and that the image is right all the same."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydib.host.unsynced import CALLS
from pydib.layer.store import Store
from tests.machine.conftest import left_in_the_kernel
from tests.machine.layered import LayeredBuilder, described

pytestmark = pytest.mark.machine

HEAD = "#!/bin/bash\nset -eu -o pipefail\n"


@pytest.fixture
def layered(tmp_path: Path, fixtures: Path) -> Iterator[LayeredBuilder]:
    made = LayeredBuilder(tmp_path, fixtures)
    yield made
    assert left_in_the_kernel(tmp_path) == []
    assert made.processes() == []
    assert list(made.temporary.iterdir()) == []
    assert list((made.store / "w").iterdir()) == []
    assert list((made.store / "leases").iterdir()) == []


ROOT = ["root.d/10-tiny-os", "root.d/50-first"]
ALWAYS = ["extra-data.d/50-fetch", "post-root.d/50-look", "cleanup.d/50-tidy"]
TARGET = ["pre-install.d/10-first", "pre-install.d/20-quiet", "install.d/10-reads", "install.d/20-sources",
          "install.d/30-names-image", "install.d/40-last", "post-install.d/10-first"]
ALL = sorted([*ROOT, *ALWAYS, *TARGET])


@pytest.fixture
def project(layered: LayeredBuilder) -> LayeredBuilder:
    """Two elements with a script of each kind, built once."""
    write = layered.script
    write("first", "root.d/50-first", HEAD + "echo root >$TARGET_ROOT/etc/root-ran\n")
    write("first", "extra-data.d/50-fetch", HEAD + "cat $(dirname $0)/../outside >$TMP_MOUNT_PATH/etc/fetched\n"
          "mkdir -p $TMP_HOOKS_PATH/fetched; cat $(dirname $0)/../outside >$TMP_HOOKS_PATH/fetched/data\n")
    write("first", "outside", "world 1\n", mode=0o644)
    write("first", "fingerprint", HEAD + "cat $(dirname $0)/archive/Release\n")
    write("first", "archive/Release", "release 1\n", mode=0o644)
    write("first", "pre-install.d/10-first", HEAD + "echo pre >>/etc/pre\n")
    write("first", "pre-install.d/20-quiet", HEAD + "cat /etc/pre >/dev/null\n")
    write("first", "install.d/10-reads", HEAD + "cat $(dirname $0)/../files/data >/etc/read\n")
    write("first", "files/data", "data 1\n", mode=0o644)
    write("first", "files/unread", "nobody reads this\n", mode=0o644)
    write("second", "install.d/20-sources", HEAD + ". $(dirname $0)/../lib/functions\nsay >/etc/sourced\n")
    write("second", "lib/functions", "say() { echo said 1; }\n", mode=0o644)
    write("second", "install.d/30-names-image", HEAD + "echo $IMAGE_NAME >/etc/image-name\n")
    write("second", "install.d/40-last", HEAD + "echo last >/etc/last\n")
    write("second", "post-install.d/10-first", HEAD + "cat /etc/last >/etc/after-last\n")
    write("second", "post-root.d/50-look", HEAD + "cat $TMP_MOUNT_PATH/etc/last >/dev/null\n")
    write("second", "cleanup.d/50-tidy", HEAD + "rm -f $TARGET_ROOT/etc/after-last\n")
    write("second", "environment.d/50-second.bash", "export SECOND=1\n", mode=0o644)
    assert sorted(layered.build()) == ALL
    return layered


Change = Callable[[LayeredBuilder], None]


def text(element: str, name: str, content: str, mode: int = 0o644) -> Change:
    return lambda made: made.script(element, name, content, mode=mode)


def script(element: str, name: str, content: str) -> Change:
    return text(element, name, HEAD + content, 0o755)


def removed(element: str, name: str) -> Change:
    return lambda made: (made.elements / element / name).unlink()


def moved(element: str, old: str, new: str) -> Change:
    return lambda made: (made.elements / element / old).rename(made.elements / element / new)


def variable(name: str, value: str) -> Change:
    return lambda made: made.environment.update({name: value})


def option(*words: str) -> Change:
    return lambda made: made.options.extend(words)


def touched(element: str, name: str) -> Change:
    return lambda made: os.utime(made.elements / element / name)


def from_script(first: str) -> list[str]:
    """The scripts of the target from `first` on."""
    return TARGET[TARGET.index(first):]


MATRIX: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda made: None, []),
    "a script touched": (touched("first", "install.d/10-reads"), []),
    "a comment in the first script": (script("first", "pre-install.d/10-first", "echo pre >>/etc/pre # why\n"),
                                      ["pre-install.d/10-first"]),
    "what the first script does": (script("first", "pre-install.d/10-first", "echo Pre >>/etc/pre\n"), TARGET),
    "what a script in the middle does": (script("second", "install.d/20-sources", "echo other >/etc/sourced\n"),
                                         from_script("install.d/20-sources")),
    "what the last install script does": (script("second", "install.d/40-last", "echo LAST >/etc/last\n"),
                                          ["install.d/40-last", "post-install.d/10-first"]),
    "what the very last script does": (script("second", "post-install.d/10-first", "echo new >/etc/new\n"),
                                       ["post-install.d/10-first"]),
    "a script that changed nothing now does": (script("first", "pre-install.d/20-quiet", "echo >/etc/loud\n"),
                                               from_script("pre-install.d/20-quiet")),
    "a script that changes nothing says something else": (
        script("first", "pre-install.d/20-quiet", "echo quiet\n"), ["pre-install.d/20-quiet"]),
    "a script's mode": (lambda made: (made.elements / "first/install.d/10-reads").chmod(0o700), ["install.d/10-reads"]),
    "a data file that a script reads": (text("first", "files/data", "data 2\n"), from_script("install.d/10-reads")),
    "a data file with the same effect": (text("first", "files/data", "data 1\n"), []),
    "a data file that nobody reads": (text("first", "files/unread", "nobody reads this either\n"), []),
    "the mode of a data file": (lambda made: (made.elements / "first/files/unread").chmod(0o600), [*ROOT, *TARGET]),
    "a new data file": (text("first", "files/new", "may be asked for\n"), [*ROOT, *TARGET]),
    "a data file less": (removed("first", "files/unread"), [*ROOT, *TARGET]),
    "a file that a script sources, with effect": (text("second", "lib/functions", "say() { echo said 2; }\n"),
                                                  from_script("install.d/20-sources")),
    "a file that a script sources, without effect": (text("second", "lib/functions", "say() { echo said 1; } # so\n"),
                                                     ["install.d/20-sources"]),
    "an environment.d file with effect": (text("second", "environment.d/50-second.bash", "export SECOND=2\n"),
                                          [*ROOT, *TARGET]),
    "an environment.d file without effect": (text("second", "environment.d/50-second.bash",
                                                  "# once more\nexport SECOND=1\n"), []),
    "an environment variable": (variable("DIB_SOMETHING", "1"), [*ROOT, *TARGET]),
    "a variable of the terminal": (variable("COLUMNS", "77"), []),
    "the name of the image": (option("-o", "{out}/other"), ["install.d/30-names-image", "install.d/40-last",
                                                           "post-install.d/10-first"]),
    "the format of the output": (option("-t", "tar,tgz"), []),
    "a script at another position": (moved("second", "install.d/20-sources", "install.d/05-sources"),
                                     ["install.d/05-sources", "install.d/10-reads", "install.d/30-names-image",
                                      "install.d/40-last", "post-install.d/10-first"]),
    "a script that changes nothing at another position": (
        moved("first", "pre-install.d/20-quiet", "pre-install.d/30-quiet"), ["pre-install.d/30-quiet"]),
    "a script less": (removed("second", "install.d/20-sources"),
                      ["install.d/30-names-image", "install.d/40-last", "post-install.d/10-first"]),
    "a script that changed nothing less": (removed("first", "pre-install.d/20-quiet"), []),
    "one script more": (script("second", "install.d/35-more", "echo more >/etc/more\n"),
                        ["install.d/35-more", "install.d/40-last", "post-install.d/10-first"]),
    "one script more, without effect": (script("second", "install.d/35-more", "true\n"), ["install.d/35-more"]),
    "an element's order on the command line": (lambda made: made.names.reverse(), []),
    "an element more": (lambda made: _third(made), ["install.d/50-third", "post-install.d/10-first"]),
    "the kind of the service, which no script names": (variable("SERVICE_TYPE", "redis"), []),
    "the install type": (option("--install-type", "package"), TARGET),
    "what extra-data.d fetched": (text("first", "outside", "world 2\n"), TARGET),
    "what the archive says of itself": (text("first", "archive/Release", "release 2\n"), [*ROOT, *TARGET]),
    "what root.d does": (script("first", "root.d/50-first", "echo again >$TARGET_ROOT/etc/root-ran\n"),
                         ["root.d/50-first", *TARGET]),
    "a script of a phase that always runs": (script("second", "post-root.d/50-look", "true\n"), []),
    "from a script on": (option("--rebuild-from", "install.d/20-sources"), from_script("install.d/20-sources")),
    "layers too old": (option("--max-age", "0s"), [*ROOT, *TARGET]),
    "no cache": (option("--no-cache"), [*ROOT, *TARGET]),
    "another pydib phase file": (lambda made: _other_phase(made), [
        name for name in TARGET if name.startswith("install.d/")]),
}


NOT_FORESEEN = {"what extra-data.d fetched", "what the archive says of itself"}
"""What `pydib plan` does not ask."""
FORESEEN_IN_VAIN = {"an environment.d file without effect"}
"""What it would have to run."""


def _other_phase(made: LayeredBuilder) -> None:
    folder = made.elements.parent / "phases"
    folder.mkdir()
    (folder / "40-install.toml").write_text('name = "install"\nwhere = "target"\nvariables = ["TARGET_ROOT"]\n'
                                            'after = ["install-packages"]\n')
    made.options.extend(["--phases", str(folder)])


def _third(made: LayeredBuilder) -> None:
    made.script("third", "install.d/50-third", HEAD + "echo third >/etc/third\n")
    made.names.append("third")


@pytest.mark.parametrize("change", MATRIX)
def test_what_runs_after_a_change(project: LayeredBuilder, change: str) -> None:
    """Exactly what must; and the image is what a build without layers makes."""
    alter, expected = MATRIX[change]
    alter(project)
    project.options = [word.format(out=project.out) for word in project.options]
    time.sleep(0.01)
    planned = project.planned()
    ran = project.build()
    assert sorted(ran) == sorted({*expected, *ALWAYS}), project.reasons
    if change not in NOT_FORESEEN:
        assert {name for name, verdict in planned.items() if verdict == "cached"}.isdisjoint(ran), planned
    if change not in FORESEEN_IN_VAIN:
        assert {name for name, verdict in planned.items() if verdict == "runs"} <= set(ran), planned
    if expected and "--no-cache" not in project.options:
        assert all(project.reasons.values())


@pytest.mark.parametrize(("asks", "text"), [
    ("second/install.d/40-last", 'echo "$IMAGE_ELEMENT" >/etc/last'),
    ("second/install.d/40-last", "env >/etc/last"),
    ("second/install.d/40-last", ". $(dirname $0)/../lib/ask"),
    ("second/install.d/40-last", "show-elements"),
])
def test_who_asks_for_the_elements_of_the_build_runs_when_they_change(project: LayeredBuilder, asks: str, text: str
                                                                      ) -> None:
    """The script itself, one that looks at all variables, a file that it opens, a program that an earlier script put
    into the tree."""
    project.script("second", "lib/ask", "echo ${IMAGE_ELEMENT} >/etc/last\n", mode=0o644)
    if text == "show-elements":
        project.script("second", "bin/show-elements", HEAD + 'echo "$IMAGE_ELEMENT" >/etc/last\n')
        project.script("first", "root.d/60-programs", HEAD + "mkdir -p $TARGET_ROOT/usr/local/bin\n"
                       "cp $TMP_HOOKS_PATH/bin/* $TARGET_ROOT/usr/local/bin/\n")
    project.script(*asks.split("/", 1), HEAD + text + "\n")
    project.build()
    assert asks.partition("/")[2] not in project.build()
    _third(project)
    assert project.planned()["install.d/40-last"] != "cached"
    ran = project.build()
    assert "install.d/40-last" in ran, project.reasons
    assert ("install.d/20-sources" in ran) == (text == "show-elements")  # any script may run a program of the tree
    project.tree()
    assert "third" in (project.out / "tree/etc/last").read_text()


def test_the_engine_s_own_files_beside_the_output_are_no_script_s(project: LayeredBuilder) -> None:
    """Named as the output with another ending, they would else make every script of root.d run."""
    options = ["-o", "beside/disk", "--events", "beside/disk.events", "--image-cache", str(project.cache)]
    (project.out / "beside").mkdir()
    for _ in range(2):
        project.told("build", "--no-base", "-t", "tar", *options, *project.names)
    assert "root.d/50-first cached" in " ".join(project.told("why", "root.d/50-first").split())


RICH = HEAD + r"""
cd /
mkdir -p opt/rich/deep "opt/rich/with blank"
echo one >opt/rich/file; chmod 4755 opt/rich/file; chown 1234:5678 opt/rich/file; chmod 4755 opt/rich/file
ln opt/rich/file opt/rich/second-name; ln opt/rich/file opt/rich/deep/third-name
ln -s ../nowhere opt/rich/dangling; mkfifo opt/rich/fifo; mknod opt/rich/device b 7 200; mknod opt/rich/char c 1 3
truncate -s 20M opt/rich/sparse; dd if=/bin/bash of=opt/rich/sparse bs=4096 count=3 seek=1000 conv=notrunc 2>/dev/null
setfattr -n user.note -v remark opt/rich/deep
setcap cap_net_raw+ep opt/rich/sparse
touch -d 2001-02-03 "opt/rich/with blank"; chmod 1777 "opt/rich/with blank"
printf 'x' >$'opt/rich/strange\nname'
mkdir opt/gone; echo x >opt/gone/x; mkdir opt/renamed; echo y >opt/renamed/y
"""

CHANGED = HEAD + r"""
cd /
echo two >>opt/rich/deep/third-name       # through one name of three
rm -r opt/gone; mkdir opt/gone; echo new >opt/gone/new      # an opaque folder
mv opt/renamed opt/elsewhere
rm opt/rich/dangling; echo file-now >opt/rich/dangling
chmod 700 opt/rich/deep; chown 77 opt/rich/sparse
setfattr -n user.more -v yes opt/rich/deep
chmod 711 /
"""


@pytest.fixture
def rich(layered: LayeredBuilder) -> LayeredBuilder:
    """Elements whose scripts make everything that a filesystem can hold."""
    tools = "for name in setfattr setcap chmod mkfifo mknod ln dd touch truncate; do\n" \
            "p=$(readlink -f $(command -v $name))\n" \
            "rm -f $TARGET_ROOT/bin/$name; cp $p $TARGET_ROOT/bin/$name\n" \
            "ldd $p | sed -n 's/.*=> \\(\\/[^ ]*\\).*/\\1/p' | while read l; do mkdir -p $TARGET_ROOT${l%/*}; " \
            "cp -L $l $TARGET_ROOT$l; done; done\n"
    layered.script("first", "root.d/20-tools", HEAD + tools)
    layered.script("first", "install.d/10-rich", RICH)
    layered.script("first", "install.d/20-changed", CHANGED)
    layered.script("second", "post-install.d/10-more", HEAD + "echo three >>/opt/rich/second-name\n")
    layered.script("second", "cleanup.d/10-look", HEAD + "ls $TARGET_ROOT/opt/elsewhere/y\n")
    return layered


def test_a_tree_from_layers_is_the_tree_that_scripts_make(rich: LayeredBuilder) -> None:
    """Content, modes, owners, links, devices, holes, attributes and capabilities: without layers, with layers that are
    made, with layers that are found, and with some of each."""
    rich.build("--no-cache")
    plain = rich.tree()
    rich.build()
    assert rich.tree() == plain
    assert "install.d/10-rich" not in rich.build()
    assert rich.tree() == plain
    assert "install.d/20-changed" in rich.build("--rebuild-from", "20-changed")
    assert rich.tree() == plain
    assert plain["opt/rich/second-name"].split()[0] == "104755"
    assert "linked opt/rich/deep/third-name" in plain["opt/rich/second-name"]
    assert "security.capability" in plain["opt/rich/sparse"] or "sparse" in plain["opt/rich/sparse"]
    assert plain["opt/rich/file"] == plain["opt/rich/deep/third-name"]


@pytest.mark.parametrize("mode", ["tree", "device"])
def test_a_disk_from_layers_is_the_disk_that_scripts_make(rich: LayeredBuilder, mode: str, tmp_path: Path) -> None:
    rich.options = ["-t", "raw", "--assemble", mode]
    trees = []
    for more in (["--no-cache"], [], []):
        rich.build(*more)
        there = tmp_path / "mounted"
        there.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", "loop,ro", rich.out / "disk.raw", there], check=True)
        try:
            trees.append(described(there))
        finally:
            subprocess.run(["umount", there], check=True)
    assert trees[0] == trees[1] == trees[2]


def test_in_device_mode_all_before_the_device_is_reused(project: LayeredBuilder) -> None:
    """What runs on the device runs each time; what comes before it is as in tree mode."""
    project.options = ["-t", "raw", "--assemble", "device"]
    project.script("second", "finalise.d/50-on-device", HEAD + "echo final >/etc/final\n")
    project.script("second", "block-device.d/50-look", HEAD + "true\n")
    always = sorted([*ALWAYS, "finalise.d/50-on-device", "block-device.d/50-look"])
    project.build()
    assert sorted(project.build()) == always
    assert "finalise.d/50-on-device" in project.reasons
    project.script("second", "install.d/40-last", HEAD + "echo LAST >/etc/last\n")
    assert sorted(project.build()) == sorted([*always, *from_script("install.d/40-last")])


FSYNC = next(iter(CALLS.get(platform.machine(), {0: (0,)}).values()))[0]
SYNC = f"sync() {{ perl -e 'exit(syscall({FSYNC}, 77) == 0 ? 0 : 1)' && echo nobody waits || echo waits; }}\n"


@pytest.mark.skipif(platform.machine() not in CALLS, reason=f"sync calls are not known on {platform.machine()}")
@pytest.mark.parametrize("layers", [True, False], ids=["layers", "none from the first script on"])
def test_only_what_comes_before_the_first_layer_passes_over_sync(layered: LayeredBuilder, layers: bool) -> None:
    """There the changes are made in a plain directory; later an overlay does not wait, and a disk has to."""
    hole = "" if layers else "mknod $TARGET_ROOT/hole c 0 0\n"
    layered.options = ["-t", "raw", "--assemble", "device"]
    layered.script("first", "root.d/01-first", HEAD + SYNC + "stat -f -c %T $TARGET_ROOT; sync\n" + hole)
    layered.script("second", "root.d/90-last", HEAD + SYNC + "stat -f -c %T $TARGET_ROOT; sync\n")
    layered.script("second", "finalise.d/50-x", HEAD + "true\n")
    layered.script("second", "block-device.d/50-x", HEAD + SYNC + "sync\n")
    layered.build()
    told = [line.rpartition("| ")[2] for line in layered.log.splitlines()]
    waits = [line for line in told if line in ("waits", "nobody waits")]
    assert waits[0] == "nobody waits"
    assert waits[-1] == "waits"
    assert (waits[1] == "waits") == layers
    assert ("overlayfs" in told) == layers
    if not layers:
        assert "/hole, which root.d/01-first made, is to overlayfs a mark of its own" in layered.log


def test_a_mended_script_is_where_the_build_goes_on(project: LayeredBuilder) -> None:
    project.script("second", "install.d/15-fails", HEAD + "echo before >/etc/before\nexit 3\n")
    project.build(expect=3)
    project.script("second", "install.d/15-fails", HEAD + "echo mended >/etc/mended\n")
    ran = project.build()
    assert [name for name in ran if name not in ALWAYS] == ["install.d/15-fails", *from_script("install.d/20-sources")]
    assert "etc/before" not in project.tree()


def test_output_of_a_script_stays_to_be_read(project: LayeredBuilder) -> None:
    project.script("second", "install.d/15-talks", HEAD + "echo spoken once\n")
    project.build()
    assert "spoken once" in project.log
    project.build()
    assert "Cached install.d/15-talks" in project.log


def test_mounts_that_root_scripts_leave_are_there_again(layered: LayeredBuilder) -> None:
    cache = layered.cache / "packages"
    cache.mkdir(parents=True)
    (cache / "one").write_text("content of the cache\n")
    layered.script("first", "root.d/50-mounts", HEAD + "mkdir -p $TARGET_ROOT/var/packages $TARGET_ROOT/var/own\n"
                   "mount --bind $DIB_IMAGE_CACHE/packages $TARGET_ROOT/var/packages\n"
                   "mount -o remount,bind,ro $TARGET_ROOT/var/packages\n")
    layered.script("second", "install.d/10-uses", HEAD + "cat /var/packages/one >/etc/used\n"
                                                         "! touch /var/packages/x 2>/dev/null\n")
    layered.build()
    layered.script("second", "install.d/10-uses", HEAD + "cat /var/packages/one /var/packages/one >/etc/used\n"
                                                         "! touch /var/packages/x 2>/dev/null\n")
    assert layered.build() == ["install.d/10-uses"]
    assert "var/packages/one" not in layered.tree()
    assert (layered.out / "tree/etc/used").read_text() == "content of the cache\n" * 2
    shutil.rmtree(cache)
    ran = layered.build(expect=32)
    assert ran[0] == "root.d/50-mounts"
    assert "is not there" in layered.reasons["root.d/50-mounts"]


def test_mounts_of_scripts_are_not_taken_for_the_engine_s(layered: LayeredBuilder) -> None:
    """Neither when the engine mounts something after them, nor when the kernel gives them the number of one that the
    engine had."""
    cache = layered.cache / "packages"
    cache.mkdir(parents=True)
    (cache / "one").write_text("lent\n")
    lend = HEAD + "mkdir -p $TARGET/var/lent; mount --bind $DIB_IMAGE_CACHE/packages $TARGET/var/lent\n"
    layered.script("first", "root.d/50-lend", lend.replace("$TARGET", "$TARGET_ROOT"))
    layered.script("first", "install.d/10-uses", HEAD + "cat /var/lent/one >/etc/used\n")
    layered.script("first", "post-root.d/50-back", HEAD + "umount $TMP_MOUNT_PATH/var/lent\n")
    layered.script("second", "pre-finalise.d/50-lend", lend.replace("$TARGET", "$TMP_MOUNT_PATH"))
    layered.script("second", "finalise.d/50-uses", HEAD + "cat /var/lent/one >>/etc/used\n")
    layered.script("first", "cleanup.d/50-back", HEAD + "umount $TARGET_ROOT/var/lent; rmdir $TARGET_ROOT/var/lent\n")
    layered.build()
    finals = set()
    for _ in range(3):
        assert not {name for name in layered.build() if name.startswith(("root", "install", "finalise"))}
        with Store(layered.store) as store:
            build = next(store.builds())
            finals.add(build.final)
            lines = {line.script: store.state(line.after) for line in build.scripts}
        for name in ("root.d/50-lend", "install.d/10-uses", "pre-finalise.d/50-lend", "finalise.d/50-uses"):
            assert [mount.target for mount in lines[name].mounts] == ["var/lent"], name
        assert not lines["cleanup.d/50-back"].mounts
    assert len(finals) == 1
    layered.tree()
    assert (layered.out / "tree/etc/used").read_text() == "lent\n" * 2


def test_a_tmpfs_that_a_script_leaves_ends_the_layers_not_the_build(layered: LayeredBuilder) -> None:
    layered.script("first", "install.d/10-tmpfs", HEAD + "mkdir -p /scratch; mount -t tmpfs none /scratch\n"
                                                         "echo kept >/scratch/file\n")
    layered.script("second", "install.d/20-uses", HEAD + "cat /scratch/file >/etc/used\n")
    for _ in range(2):
        ran = layered.build()
        assert {"install.d/10-tmpfs", "install.d/20-uses"} <= set(ran)
        assert "tmpfs is mounted at /scratch, whose content no layer holds" in layered.log
        assert (layered.tree(), (layered.out / "tree/etc/used").read_text())[1] == "kept\n"


def test_a_script_whose_process_goes_on_is_no_layer(layered: LayeredBuilder) -> None:
    layered.script("first", "install.d/10-daemon", HEAD + "(sleep 0.3; echo late >/etc/late) &\n")
    layered.script("second", "install.d/20-waits", HEAD + "sleep 1; cat /etc/late >/etc/seen\n")
    for _ in range(2):
        assert {"install.d/10-daemon", "install.d/20-waits"} <= set(layered.build())
        assert "left processes running" in layered.log
        assert "etc/seen" in layered.tree()


@pytest.mark.parametrize(("what", "reason"), [
    ("mkdir -p $TMP_HOOKS_PATH/extra; echo x >$TMP_HOOKS_PATH/extra/note", "it changes the hook tree"),
    ("echo x >$TMP_BUILD_DIR/scratch", "it leaves"),
    ("echo x >$IMAGE_NAME.beside", "it leaves"),
])
def test_a_root_script_that_does_things_beside_the_tree_always_runs(layered: LayeredBuilder, what: str, reason: str
                                                                    ) -> None:
    layered.script("first", "root.d/50-beside", HEAD + what + "\n")
    layered.script("second", "root.d/60-after", HEAD + "true\n")
    layered.build()
    assert "root.d/50-beside" in layered.build()
    assert reason in layered.reasons["root.d/50-beside"]
    assert "root.d/60-after" not in layered.reasons


def test_a_hundred_and_sixty_layers(layered: LayeredBuilder) -> None:
    layered.names.remove("second")
    for number in range(160):
        layered.script("first", f"install.d/{number:03d}-one", HEAD + f"echo {number} >/etc/n{number}\n")
    layered.build()
    assert len(layered.tree()) > 200
    assert layered.build() == []
    layered.script("first", "install.d/159-one", HEAD + "echo last >/etc/n159\n")
    assert layered.build() == ["install.d/159-one"]
    assert (layered.tree(), (layered.out / "tree/etc/n0").read_text())[1] == "0\n"


def test_more_layers_than_the_kernel_stacks(layered: LayeredBuilder) -> None:
    layered.names.remove("second")
    for number in range(500):
        layered.script("first", f"install.d/{number:03d}-one", f"#!/bin/sh\necho {number} >/etc/n{number}\n")
    layered.build()
    assert "as many as the kernel stacks" in layered.log
    assert sum(name.startswith("etc/n") for name in layered.tree()) == 500
    ran = layered.build()
    assert 10 < len(ran) < 50


@pytest.mark.parametrize("checkouts", ["one of each", "one of all"])
def test_builds_share_a_store(project: LayeredBuilder, tmp_path: Path, checkouts: str) -> None:
    shutil.rmtree(project.store)
    argv = project.argv()[:1]
    shelves = [Path(folder) for folder in project.environment["ELEMENTS_PATH"].split(":")]
    builds = []
    for number in range(3):
        environment = dict(project.environment)
        if checkouts == "one of each":
            copies = [shutil.copytree(shelf, tmp_path / f"checkout{number}" / str(place), symlinks=True)
                      for place, shelf in enumerate(shelves)]
            environment["ELEMENTS_PATH"] = ":".join(map(str, copies))
        builds.append(subprocess.Popen(
            [*argv, "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "--progress", "lines", "-t",
             "tar", "-o", str(project.out / f"disk{number}"), *project.names], env=environment, cwd=project.out,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True))
    logs = [build.communicate(timeout=120)[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0, 0], logs
    assert cache(project, "verify")[0] == 0
    ran = project.build()
    must = ALWAYS + from_script("install.d/30-names-image")
    more = {script: project.reasons[script] for script in set(ran) - set(must)}
    assert sorted(ran) == sorted([*must, *more])
    # A build that copies its hooks opens them in the elements' folders, while a script of another one runs: what it
    # opens there counts as opened by that script, the one that names the image, too.
    if checkouts == "one of each":
        assert more == {}
    assert all(script.startswith("root.d/") and "IMAGE_NAME" in reason for script, reason in more.items()), more


def cache(made: LayeredBuilder, *words: str) -> tuple[int, str]:
    """Run `pydib cache`; gives exit code and output."""
    done = subprocess.run([made.argv()[0], "-c", "from pydib.cli.main import run; run()", "cache", *words], text=True,
                          env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def test_a_flipped_byte_is_found_and_made_anew(project: LayeredBuilder) -> None:
    whole = (project.build(), project.tree())[1]
    assert cache(project, "verify") == (0, cache(project, "verify")[1])
    victim = next(path for path in project.store.glob("u/*/etc/read"))
    data = bytearray(victim.read_bytes())
    data[0] ^= 1
    victim.write_bytes(data)
    code, told = cache(project, "verify")
    assert (code, "made by install.d/10-reads: its content was changed" in told) == (1, True), told
    ran = project.build()
    assert "install.d/10-reads" in ran
    assert "was changed in the store" in project.reasons["install.d/10-reads"]
    assert project.tree() == whole
    assert cache(project, "gc")[0] == 0
    assert cache(project, "verify")[0] == 0


@pytest.mark.parametrize("what", ["layer", "record", "outcome"])
def test_what_is_missing_or_damaged_in_the_middle_is_made_anew(project: LayeredBuilder, what: str) -> None:
    whole = (project.build(), project.tree())[1]
    if what == "layer":
        shutil.rmtree(next(path for path in project.store.glob("u/*/etc/read")).parent.parent)
    else:
        folder = {"record": "states", "outcome": "outcomes"}[what]
        for path in sorted((project.store / folder).iterdir()):
            if b"install.d/10-reads" in path.read_bytes():
                path.write_bytes(path.read_bytes().replace(b"10-reads", b"10-READS"))
    project.build()
    assert project.tree() == whole
    assert sorted(project.build()) == sorted(ALWAYS)


@pytest.mark.parametrize("store", ["newer", "read-only", "small", "without layers", "not readable"])
def test_a_store_that_cannot_be_used_is_named_and_the_image_is_right(project: LayeredBuilder, store: str) -> None:
    """The build goes on without layers."""
    whole = (project.build(), project.tree())[1]
    options: list[str] = []
    mounted = ""
    if store == "newer":
        (project.store / "format").write_text('{"version": 99}')
    elif store == "not readable":
        (project.store / "format").write_text("\0")
    else:
        mounted = str(project.out.parent / "elsewhere")
        os.mkdir(mounted)
        kind = {"small": ["-t", "tmpfs", "-o", "size=50m"], "read-only": ["-t", "tmpfs", "-o", "ro"],
                "without layers": ["-t", "ramfs"]}[store]
        if store == "without layers":
            for name in ("lower", "upper", "work"):
                os.mkdir(f"{mounted}.{name}")
            kind = ["-t", "overlay", "-o", f"lowerdir={mounted}.lower,upperdir={mounted}.upper,workdir={mounted}.work"]
        subprocess.run(["mount", *kind, "none", mounted], check=True)
        options = ["--image-cache", mounted]
    try:
        ran = project.build(*options)
    finally:
        if mounted:
            subprocess.run(["umount", mounted], check=True)
    if store == "newer" or store == "not readable":
        (project.store / "format").write_text('{"version": 1}')
    assert "no layers are used or kept: " in project.log
    assert {"newer": "format 99", "read-only": "cannot be written", "small": "MiB are free",
            "without layers": "cannot hold layers", "not readable": "cannot be read"}[store] in project.log
    assert sorted(ran) == ALL
    assert project.tree() == whole


def made_earlier(project: LayeredBuilder, hours: int) -> None:
    """Let all that was built until now be so much older."""
    for path in (project.store / "outcomes").iterdir():
        _, _, text = path.read_text().partition("\n")
        outcomes = json.loads(text)
        for one in outcomes:
            one["created"] -= hours * 3600
        text = json.dumps(outcomes, sort_keys=True, separators=(",", ":"))
        path.write_text(hashlib.sha256(text.encode()).hexdigest() + "\n" + text + "\n")


def test_layers_from_the_future_are_not_trusted_with_an_age(project: LayeredBuilder) -> None:
    made_earlier(project, -240)
    ran = project.build()
    assert [name for name in ran if name in ROOT] == ROOT[:1]
    assert "the clock was set back" in project.reasons[ROOT[0]]


def test_layers_of_root_scripts_are_good_for_a_day(project: LayeredBuilder) -> None:
    made_earlier(project, 25)
    assert sorted(project.build("--offline", "--max-age", "26h")) != sorted(ALWAYS)  # DIB_OFFLINE is an input
    assert sorted(project.build()) == sorted([ROOT[0], *ALWAYS])
    assert project.reasons.get(ROOT[0], "").endswith("and tiny-os has no fingerprint")


def test_a_build_that_knows_nothing_of_the_outside_is_good_for_a_day(project: LayeredBuilder) -> None:
    (project.elements / "first" / "fingerprint").unlink()
    project.build()
    assert sorted(project.build()) == sorted(ALWAYS)
    made_earlier(project, 25)
    assert sorted(project.build()) == ALL


def test_gc_clears_away_what_a_killed_build_left(project: LayeredBuilder) -> None:
    project.script("second", "post-install.d/20-waits", HEAD + "echo reached\nsleep 1000\n")
    build = project.start("-t", "tar", *project.names)
    assert build.stdout is not None
    assert any("reached" in line for line in build.stdout)
    build.kill()
    build.wait()
    assert [path.name for path in project.temporary.iterdir()] != []
    code, told = cache(project, "gc")
    assert code == 0
    assert "removed, of a build that was killed" in told
    assert list(project.temporary.iterdir()) == []


def test_gc_leaves_what_a_running_build_uses(project: LayeredBuilder) -> None:
    project.script("second", "post-install.d/20-waits", HEAD + "echo reached\nsleep 1000\n")
    argv = project.argv()[:1]
    build = subprocess.Popen(
        [*argv, "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "--progress", "lines", "-t", "tar",
         "-o", str(project.out / "disk"), *project.names], env=project.environment, cwd=project.out,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    assert build.stdout is not None
    try:
        for line in build.stdout:
            if line.rstrip().endswith("| reached") or line.strip() == "reached":
                break
        code, told = cache(project, "gc", "--all")
        assert (code, "1 builds are running" in told) == (0, True), told
        assert cache(project, "verify")[0] == 0
        assert list(project.store.glob("u/*/etc/last"))
    finally:
        build.terminate()
        build.communicate(timeout=60)
    assert "0 B are kept" in cache(project, "gc", "--all")[1]
    assert [path.name for path in (project.store / "u").iterdir()] == ["0"]


def test_finished_outputs_are_handed_out_again(project: LayeredBuilder) -> None:
    """Where they are, they stay; where they went, or got another name, they come back; when anybody wrote to one it is
    made anew."""
    disk = project.out / "disk.qcow2"
    project.options = ["-t", "qcow2", "--checksum"]
    project.build()
    whole = disk.read_bytes()
    inode = disk.stat().st_ino
    project.build()
    assert "disk.qcow2 is the image already" in project.log
    assert (disk.stat().st_ino, sorted(path.name for path in project.out.iterdir())) == (
        inode, ["disk.qcow2", "disk.qcow2.md5", "disk.qcow2.sha256", "disk.tar", "events"])
    disk.unlink()
    project.build()
    assert "disk.qcow2 is handed out again" in project.log
    assert disk.read_bytes() == whole
    subprocess.run(["sha256sum", "--check", "disk.qcow2.sha256"], cwd=project.out, check=True)
    with disk.open("r+b") as stream:
        stream.seek(5000)
        stream.write(bytes([whole[5000] ^ 1]))
    project.build()
    assert "is handed out again" not in project.log
    assert "is the image already" not in project.log
    subprocess.run(["qemu-img", "check", disk], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("change", [
    ["--image-size", "1"], ["--root-label", "other"], ["--compression", "zlib"], ["--mkfs-options", "-m 1"],
])
def test_another_disk_is_made_anew(project: LayeredBuilder, change: list[str]) -> None:
    project.options = ["-t", "qcow2"]
    project.build()
    project.build(*change)
    assert "is handed out again" not in project.log
    assert "is the image already" not in project.log


def test_packages_of_the_command_line_are_a_layer(project: LayeredBuilder) -> None:
    project.script("first", "install.d/01-tool", HEAD + "printf '#!/bin/sh\\necho got $* >>/etc/packages\\n' "
                   ">/usr/local/bin/install-packages; chmod +x /usr/local/bin/install-packages\n")
    project.build("-p", "a", "-p", "b")
    assert "install-packages" in project.reasons
    assert "install-packages" not in project.build("-p", "a", "-p", "b")
    ran = project.build("-p", "a")
    assert "install-packages" in ran
    assert "post-install.d/10-first" in ran
    assert "the list of packages changed" in project.reasons["install-packages"]


def told(made: LayeredBuilder, *words: str, stdin: str = "") -> str:
    """Run `pydib`; gives its output."""
    done = subprocess.run([made.argv()[0], "-c", "from pydib.cli.main import run; run()", *words], text=True,
                          env=made.environment, cwd=made.out, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_why_blame_and_size_tell_what_the_layers_know(project: LayeredBuilder, tmp_path: Path) -> None:
    project.script("first", "files/data", "data 2\n", mode=0o644)
    project.script("second", "install.d/45-big", HEAD + "dd if=/dev/zero of=/opt-big bs=1M count=3 2>/dev/null\n"
                   "echo wrote /opt-big; cat /etc/last >/dev/null; echo more >>/etc/pre\n")
    project.script("second", "install.d/46-gone", HEAD + "rm /etc/sourced\n")
    project.build()
    why = told(project, "why").splitlines()
    assert why[0].startswith(f"{project.out}/disk: done, ")
    reads = next(line for line in why if line.startswith("install.d/10-reads "))
    assert "files/data, read by install.d/10-reads, changed" in reads
    assert next(line for line in why if line.startswith("root.d/50-first")).split() == ["root.d/50-first", "cached"]
    assert told(project, "why", "--output", "45-big") == "wrote /opt-big\n"
    blame = told(project, "blame", "disk.tar", "/etc/pre").splitlines()
    assert [line.split()[:3] for line in blame] == [["changed", "by", "install.d/45-big"],
                                                    ["written", "by", "pre-install.d/10-first"]]
    assert "line 1 of its output: wrote /opt-big" in told(project, "blame", "disk.tar", "/opt-big")
    assert told(project, "blame", "disk", "/etc/sourced").split()[:3] == ["removed", "by", "install.d/46-gone"]
    size = told(project, "size", "disk.tar", "--svg", str(tmp_path / "map.svg"))
    assert "   3.0 MiB       2 files  install.d/45-big" in size.splitlines()
    picture = (tmp_path / "map.svg").read_text()
    assert picture.count("<rect") == picture.count("<title>") > 3
    assert "install.d/45-big (second): 3.0 MiB, 2 files" in picture


@pytest.mark.parametrize(("where", "script", "seen"), [
    ("--before", "install.d/20-sources", "data 1:no:yes"), ("--after", "install.d/20-sources", "data 1:said 1:yes"),
    ("--before", "20-sources", "data 1:no:yes")])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_shell_at_a_script(project: LayeredBuilder, where: str, script: str, seen: str, fresh: bool) -> None:
    """In its tree and environment, in the target; nothing that it does is kept."""
    if fresh:
        shutil.rmtree(project.store)
    look = "echo SEEN $(cat /etc/read):$(cat /etc/sourced 2>/dev/null || echo no):" \
           "$([ -e /tmp/in_target.d ] && echo yes)\n"
    output = told(project, "shell", "--no-base", where, script, *project.names, stdin=look + "echo x >/etc/by-shell\n")
    assert f"SEEN {seen}" in output
    assert (fresh or project.build() == ALWAYS, "etc/by-shell" in project.tree()) == (True, False)


def test_what_a_passed_over_failure_left_is_seen_by_those_after_it(layered: LayeredBuilder) -> None:
    """With `set +e` in environment.d a failing script is passed over (C-093); what it did stays."""
    layered.script("first", "environment.d/99-on.bash", "set +e\n", mode=0o644)
    layered.script("first", "files/data", "1\n", mode=0o644)
    layered.script("first", "install.d/10-fails", HEAD + "cat $(dirname $0)/../files/data >/etc/half\nexit 1\n")
    layered.script("second", "install.d/20-after", HEAD + "cat /etc/half >/etc/after\n")
    for number in (1, 2, 2):
        layered.script("first", "files/data", f"{number}\n", mode=0o644)
        layered.build()
        layered.tree()
        assert {(layered.out / "tree/etc" / name).read_text() for name in ("half", "after")} == {f"{number}\n"}
    assert "install.d/20-after" not in layered.reasons


def test_outputs_of_many_builds_do_not_pile_up(project: LayeredBuilder) -> None:
    project.options = ["-t", "qcow2"]
    for number in range(10):
        project.script("second", "post-install.d/10-first", HEAD + f"echo {number} >/etc/number\n")
        project.build()
    assert len(list(project.store.glob("images/*.qcow2"))) == 8


def test_without_inotify_no_layers_are_kept(project: LayeredBuilder) -> None:
    """The user's limits may be reached; the build goes on, and runs everything."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    before = limit.read_text()
    whole = (project.build(), project.tree())[1]
    try:
        limit.write_text("0")
        ran = project.build()
    finally:
        limit.write_text(before)
    assert sorted(ran) == ALL
    assert "the kernel does not tell which files scripts open" in project.log
    assert project.tree() == whole


def test_a_disk_of_layers_that_a_script_fills_ends_the_build(project: LayeredBuilder, tmp_path: Path) -> None:
    """Also when the script does not mind; what it wrote is given back."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1100m", "tmpfs", small], check=True)
    try:
        project.script("second", "install.d/15-fills", HEAD + "cat /dev/zero >/filler 2>/dev/null || true\n")
        project.build("--image-cache", str(small), expect=1)
        assert "No space left on device: the disk that holds the layers was full after install.d/15-f" in project.log
        assert os.statvfs(small).f_bavail > 0.9 * os.statvfs(small).f_blocks
        assert (project.out / "disk.tar").exists()  # the one from before
    finally:
        subprocess.run(["umount", small], check=True)
