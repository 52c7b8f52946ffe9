"""Layers of an ordinary user's builds: the tree is what the scripts make of a plain directory, whatever the kernel
cannot do in a user namespace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.conftest import left_in_the_kernel
from tests.machine.layered import LayeredUserBuilder
from tests.ordinary_user import User

pytestmark = pytest.mark.machine

HEAD = "#!/bin/bash\nset -eu -o pipefail\n"
TOOLS = HEAD + r"""
for name in chmod cp ln mv perl rm setcap setfattr stat touch truncate; do
    program=$(readlink -f "$(command -v $name)"); rm -f "$TARGET_ROOT/bin/$name"; cp "$program" "$TARGET_ROOT/bin/$name"
    { ldd "$program" || true; } 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r library; do
        mkdir -p "$TARGET_ROOT${library%/*}"; cp -L "$library" "$TARGET_ROOT$library"
    done
done
"""


@pytest.fixture
def layered(user: User) -> Iterator[LayeredUserBuilder]:
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=user.home))
    made = LayeredUserBuilder(folder, user)
    made.script("first", "root.d/20-tools", TOOLS)
    made.script("second", "element-deps", "", mode=0o644)
    yield made
    assert left_in_the_kernel(folder) == []
    assert user.processes() == []
    assert list(made.temporary.iterdir()) == []
    assert list((made.store / "w").iterdir()) == []
    assert list((made.store / "leases").iterdir()) == []
    shutil.rmtree(folder)
    shutil.rmtree(made.cache)


LINKS = HEAD + r"""
mkdir -p /opt/a /opt/b/deep
for name in content mode gone all untouched copied renamed replaced; do
    echo one >/opt/a/$name; ln /opt/a/$name /opt/b/$name; ln /opt/a/$name /opt/b/deep/$name
done
truncate -s 5M /opt/a/sparse; echo end >>/opt/a/sparse; ln /opt/a/sparse /opt/b/sparse
ln -s nowhere /opt/a/link; ln -P /opt/a/link /opt/b/link
chown 33:44 /opt/a/mode; chmod 4750 /opt/a/mode; setfattr -n user.note -v x /opt/a/mode; touch -d 2001-02-03 /opt/a/gone
echo x >/opt/a/able; setcap cap_net_raw+ep /opt/a/able; ln /opt/a/able /opt/b/able
echo x >/opt/a/alone; ln /opt/a/alone /opt/b/alone
mkdir -p /opt/c/empty /opt/d; echo x >/opt/a/far; ln /opt/a/far /opt/c/able; ln /opt/a/able /opt/d/able
touch -d 2002-03-04 /opt/a /opt/b /opt/c/empty
"""

TOUCHED = HEAD + r"""
echo two >>/opt/b/content; [ "$(cat /opt/a/content)" = "$(cat /opt/b/deep/content)" ]
[ "$(stat -c %h /opt/a/content)" = 3 ]
chmod 700 /opt/a/mode; [ "$(stat -c %a /opt/b/deep/mode)" = 700 ]
rm /opt/a/gone; [ "$(stat -c %h /opt/b/gone)" = 2 ]
rm /opt/a/all /opt/b/all /opt/b/deep/all
echo two >>/opt/a/copied; rm /opt/a/copied /opt/b/copied
mv /opt/a/renamed /opt/elsewhere; echo two >>/opt/elsewhere
echo two >/opt/a/new; mv /opt/a/new /opt/a/replaced
ln /opt/a/link /opt/one-more
"""

MORE = HEAD + r"""
rm -r /opt/c; ln -s /opt/a /opt/c; rm -r /opt/d; ln -s a /opt/d
echo three >>/opt/b/deep/content; echo three >>/opt/b/sparse; rm -r /opt/b/deep; chmod 600 /opt/a/able
"""


@pytest.fixture
def linked(layered: LayeredUserBuilder) -> LayeredUserBuilder:
    layered.script("first", "install.d/10-links", LINKS)
    layered.script("first", "install.d/20-touched", TOUCHED)
    layered.script("second", "post-install.d/10-more", MORE)
    layered.script("second", "cleanup.d/10-look", HEAD + 'stat -c "%h links" "$TARGET_ROOT/opt/a/content"\n')
    return layered


def test_names_of_one_file_stay_together(linked: LayeredUserBuilder) -> None:
    """Without layers, with layers that are made, that are found, and some of each."""
    linked.build("--no-cache")
    plain = linked.tree()
    assert "linked opt/a/content" in plain["opt/b/content"]
    assert (linked.out / "tree/opt/b/copied").exists() is False
    assert (linked.out / "tree/opt/b/deep").exists() is False
    linked.build()
    assert "2 links" in linked.log
    assert linked.tree() == plain
    assert linked.build() == ["cleanup.d/10-look"]
    assert linked.tree() == plain
    for script in ("20-touched", "10-more", "10-links"):
        assert "root.d/20-tools" not in linked.build("--rebuild-from", script)
        assert linked.tree() == plain
    assert linked.told("cache", "verify").endswith("all as they were written\n")


def test_a_file_that_nobody_touches_is_in_one_layer_only(linked: LayeredUserBuilder) -> None:
    linked.build()
    places = list(linked.store.glob("u/*/opt/a/alone"))
    assert len(places) == 1
    listed = {path.relative_to(path.parents[1]).as_posix() for path in linked.store.glob("u/*/opt/*")}
    assert listed == {f"opt/{name}" for name in ("a", "b", "c", "d", "elsewhere", "one-more")}


MOVES = {
    "mv": "mv /opt/a /opt/c",
    "rename": "perl -e 'rename \"/opt/a\", \"/opt/c\" or die \"cannot: $!\\n\"'",
    "rename that may fail": "perl -e 'rename \"/opt/a\", \"/opt/c\" or 1'",
    "rename by a relative name, in the background": "cd /opt/a; (cd ..; perl -e 'rename \"a\", \"c\"') & wait",
    "copy in its place": "perl -e 'rename \"/opt/a\", \"/opt/c\"' && exit; cp -r /opt/a /opt/c; rm -r /opt/a",
}


@pytest.mark.parametrize("how", MOVES)
def test_a_script_that_renames_a_folder_runs_once_more_on_a_plain_directory(layered: LayeredUserBuilder, how: str
                                                                            ) -> None:
    """overlayfs cannot do that in a user namespace; whether the script minds, copies, or says nothing."""
    layered.script("first", "install.d/10-folder", HEAD + "mkdir -p /opt/a/sub; echo x >/opt/a/sub/file\n"
                   "ln /opt/a/sub/file /opt/other-name; chown -R 7:8 /opt/a; touch -d 2001-02-03 /opt/a\n")
    layered.script("second", "install.d/20-moves", HEAD + f"echo once >>/opt/count\n{MOVES[how]}\n")
    layered.script("second", "install.d/30-after", HEAD + "cat /opt/c/sub/file >/opt/seen\n")
    for _ in range(2):
        layered.build()
        assert "20-moves renames /opt/a, a folder of a lower layer" in layered.log
        tree = layered.tree()
        assert (layered.out / "tree/opt/count").read_text() == "once\n"
        assert "opt/a" not in tree
        assert "linked opt/c/sub/file" in tree["opt/other-name"]
        assert "7:8" in tree["opt/c"]
    assert "install.d/10-folder" not in layered.reasons
    layered.build("--no-cache")
    assert layered.tree() == tree


def test_folders_of_one_s_own_are_renamed_as_anywhere(layered: LayeredUserBuilder) -> None:
    layered.script("first", "install.d/10-folder", HEAD + "mkdir -p /opt/a /opt/gone\n")
    layered.script("second", "install.d/20-moves", HEAD + "mkdir /opt/b; mv /opt/b /opt/c; echo x >/opt/f; mv /opt/f "
                   "/opt/a/f; rmdir /opt/gone; mkdir /opt/gone; mv /opt/gone /opt/d\n"
                   "mkdir /opt/e; mount -t tmpfs none /opt/e; mkdir /opt/e/x; mv /opt/e/x /opt/e/y; umount /opt/e\n")
    layered.build()
    assert layered.build() == []
    assert {"opt/a/f", "opt/c", "opt/d"} <= set(layered.tree())


def test_what_cannot_be_run_again_is_refused(layered: LayeredUserBuilder) -> None:
    layered.script("first", "root.d/50-moves", HEAD + "mkdir -p $TMP_HOOKS_PATH/made; mkdir $TARGET_ROOT/opt2\n")
    layered.script("second", "extra-data.d/50-moves", HEAD + "mkdir $TMP_HOOKS_PATH/once; "
                   "mv $TMP_MOUNT_PATH/opt2 $TMP_MOUNT_PATH/opt3\n")
    layered.build(expect=1)
    assert "extra-data.d/50-moves renames /opt2, which layers without root cannot do" in layered.log
    assert "build with --no-cache, or as root" in layered.log
    layered.build("--no-cache")


def test_a_tmpfs_or_a_daemon_ends_the_layers_in_a_plain_directory(layered: LayeredUserBuilder) -> None:
    layered.script("first", "install.d/10-links", HEAD + "echo x >/opt1; ln /opt1 /opt2; mkdir -p /scratch /sub\n")
    layered.script("second", "install.d/20-tmpfs", HEAD + "mount -t tmpfs none /scratch; echo kept >/scratch/file\n")
    layered.script("second", "install.d/30-uses", HEAD + "cat /scratch/file >/used; echo y >>/opt2; mv /sub /moved\n")
    layered.build()
    assert "tmpfs is mounted at /scratch" in layered.log
    tree = layered.tree()
    assert "linked opt1" in tree["opt2"]
    assert {"used", "moved"} <= set(tree)


def test_commands_that_look_into_layers(linked: LayeredUserBuilder) -> None:
    """Layers hold files of subordinate ids, which the user alone may not even list."""
    linked.script("second", "install.d/30-closed", HEAD + "mkdir /opt/closed; echo secret >/opt/closed/file\n"
                  "chown -R 1000:1000 /opt/closed; chmod 0 /opt/closed/file /opt/closed; echo closed file\n")
    linked.build()
    blame = linked.told("blame", "disk.tar", "/opt/closed/file")
    assert blame.split()[:3] == ["written", "by", "install.d/30-closed"]
    assert "post-install.d/10-more" in linked.told("size", "disk.tar")
    assert "install.d/30-closed" in linked.told("cache", "ls")
    assert "root.d/20-tools" in linked.told("why")
    shell = linked.told("shell", "--no-base", "--before", "30-closed", *linked.names,
                        stdin="echo SEEN $(cat /opt/b/content) $(test -e /opt/closed || echo not yet)\n")
    assert "SEEN one two not yet" in shell
    victim = next(linked.store.glob("u/*/opt/closed/file"))
    assert victim.stat().st_uid > 65535
    victim.write_text("Secret\n")
    told = linked.told("cache", "verify", expect=1)
    assert "made by install.d/30-closed: its content was changed" in told
    assert "install.d/30-closed" in linked.build()
    assert linked.told("cache", "gc", "--all").endswith("0 B are kept\n")
    assert [path.name for path in (linked.store / "u").iterdir()] == ["0"]


@pytest.mark.parametrize(("kind", "told"), [
    ("ramfs", "its filesystem cannot hold layers"), ("read-only", "cannot be written"), ("small", "MiB are free"),
    ("newer", "format 99"),
])
def test_a_store_that_cannot_be_used_is_named_and_the_image_is_right(layered: LayeredUserBuilder, kind: str, told: str
                                                                     ) -> None:
    layered.build()
    tree = layered.tree()
    place = layered.out.parent / "elsewhere"
    (place / "layers").mkdir(parents=True)
    options = {"ramfs": ["ramfs"], "read-only": ["tmpfs", "-o", "ro"], "small": ["tmpfs", "-o", "size=50m"]}.get(kind)
    if options:
        subprocess.run(["mount", "-t", *options, "none", place], check=True)
        subprocess.run(["chown", layered.user.name, place], check=kind != "read-only", capture_output=True)
    else:
        (place / "layers/format").write_text('{"version": 99}')
        subprocess.run(["chown", "-R", layered.user.name, place], check=True)
    try:
        assert layered.build("--image-cache", str(place)) == ["root.d/10-tiny-os", "root.d/20-tools"]
    finally:
        if options:
            subprocess.run(["umount", place], check=True)
    assert "no layers are used or kept: " in layered.log
    assert told in layered.log
    assert layered.tree() == tree


def test_gc_clears_away_what_a_killed_build_left(layered: LayeredUserBuilder) -> None:
    layered.build()
    layered.script("second", "install.d/20-waits", HEAD + "mkdir /x; chown 5:5 /x; chmod 0 /x; echo reached\n"
                   "while :; do read -t 100 <> <(:) || true; done\n")
    argv = layered.pydib("build", "--no-base", "--progress", "lines", "-t", "tar", "-o", "disk", *layered.names)
    build = subprocess.Popen(argv, env=layered.environment, cwd=layered.out, text=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    assert build.stdout is not None
    assert any("reached" in line for line in build.stdout)
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    assert "removed, of a build that was killed" in layered.told("cache", "gc")
    assert list(layered.temporary.iterdir()) == []
    assert list((layered.store / "w").iterdir()) == []


def test_root_and_a_user_do_not_share_a_store(layered: LayeredUserBuilder) -> None:
    """Owners and marks mean other things for each."""
    layered.build()
    done = subprocess.run(
        ["env", f"PYTHONPATH={layered.user.library}", f"ELEMENTS_PATH={layered.environment['ELEMENTS_PATH']}",
         f"TMPDIR={layered.temporary}", *layered.user.python("from pydib.cli.main import run; run()"), "build",
         "--no-base", "--progress", "lines", "-t", "tar", "-o", str(layered.out / "roots"), "--image-cache",
         str(layered.cache), *layered.names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no layers are used or kept: the store of layers belongs to another user" in done.stdout
    os.unlink(layered.out / "roots.tar")
