"""The build's own root: what it is made of, and that everything is in it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pydib.errors import SandboxError
from pydib.host import room
from pydib.host.room import BUILD_DIR, HOST, IMAGE_DIR, Bind, Forget, Link, Mount, Pivot, furnish, furnish_fenced

PLACES = {"top": Path("/tmp/dib_build.x"), "build_dir": Path("/tmp/dib_build.x/build"),
          "image_dir": Path("/tmp/dib_image.x")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("etc", "usr", "tmp", ".pydib-of-another-build", "dib_build.of-another-build"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "swap file").touch()
    return tmp_path


def test_each_entry_of_the_root_is_there_once_more(root: Path) -> None:
    assert furnish(**PLACES, root=root)[1:5] == (
        Link(target=Path("/bin"), to="usr/bin"),
        Bind(source=HOST / "etc", target=Path("/etc")),
        Bind(source=HOST / "swap file", target=Path("/swap file"), folder=False),
        Bind(source=HOST / "tmp", target=Path("/tmp")),
    )


@pytest.mark.contract("C-123", verdict="bettered", note="names and modes are DIB's; the path is the same in every "
                                                        "build, whatever TMPDIR is")
def test_the_build_s_directories_lie_at_fixed_paths(root: Path) -> None:
    steps = furnish(**PLACES, root=root)
    assert steps[-4:-2] == (Bind(source=HOST / "tmp/dib_build.x/build", target=BUILD_DIR),
                            Bind(source=HOST / "tmp/dib_image.x", target=IMAGE_DIR))


def test_scripts_do_not_see_what_the_engine_writes_down(root: Path) -> None:
    hidden = Mount(fstype="tmpfs", target=Path("/tmp/dib_build.x"), options="mode=0700,size=64k")
    assert hidden in furnish(**PLACES, root=root)
    assert hidden in furnish_fenced(**PLACES, root=root, writable=[])


def test_the_old_root_is_forgotten_unless_the_build_works_right_in_it(root: Path) -> None:
    assert furnish(**PLACES, root=root)[-1] == Forget(target=HOST)
    assert furnish(**PLACES, root=root, keep_host=True) == furnish(**PLACES, root=root)[:-1]


def test_each_step_says_what_it_does(root: Path) -> None:
    assert [str(step) for step in furnish(**PLACES, root=root)] == [
        "make a tmpfs the root, with the old root at /.pydib/host", "link /bin to usr/bin",
        "bind /.pydib/host/etc on /etc", "bind /.pydib/host/swap file on /swap file", "bind /.pydib/host/tmp on /tmp",
        "bind /.pydib/host/usr on /usr", "bind /.pydib/host/tmp/dib_build.x/build on /.pydib/dib_build.00000000",
        "bind /.pydib/host/tmp/dib_image.x on /.pydib/dib_image.00000000", "mount tmpfs on /tmp/dib_build.x",
        "unmount /.pydib/host"]


def test_an_ordinary_user_s_room_is_read_only_but_for_what_was_named(root: Path) -> None:
    (root / "proc").mkdir()
    (root / "dev/net").mkdir(parents=True)
    for name in ("null", "net/tun", "sda"):
        (root / "dev" / name).touch()
    steps = [str(step) for step in furnish_fenced(**PLACES, root=root, writable=[Path("/tmp"), Path("/var/x"),
                                                                                 Path("/tmp/..//tmp")])]
    assert steps[1:] == [
        "link /bin to usr/bin", "bind /.pydib/host/etc on /etc", "bind /.pydib/host/proc on /proc",
        "bind /.pydib/host/swap file on /swap file", "bind /.pydib/host/tmp on /tmp", "bind /.pydib/host/usr on /usr",
        "make /etc read-only", "make /swap file read-only", "make /tmp read-only", "make /usr read-only",
        "bind /.pydib/host/tmp on /tmp", "bind /.pydib/host/var/x on /var/x",
        "mount tmpfs on /dev", "bind /.pydib/host/dev/net/tun on /dev/net/tun",
        "bind /.pydib/host/dev/null on /dev/null",
        "mount devpts on /dev/pts", "mount tmpfs on /dev/shm", "link /dev/fd to /proc/self/fd",
        "link /dev/stdin to /proc/self/fd/0", "link /dev/stdout to /proc/self/fd/1",
        "link /dev/stderr to /proc/self/fd/2", "link /dev/ptmx to pts/ptmx",
        "bind /.pydib/host/tmp/dib_build.x/build on /.pydib/dib_build.00000000",
        "bind /.pydib/host/tmp/dib_image.x on /.pydib/dib_image.00000000", "mount tmpfs on /tmp/dib_build.x",
        "unmount /.pydib/host"]


def test_a_refusal_names_the_step(tmp_path: Path) -> None:
    step = Pivot(over=tmp_path / "missing", old=HOST)
    with pytest.raises(SandboxError, match="No such file") as caught:
        room.enter([step])
    assert caught.value.where == str(step)


LOOK = """
import os, pickle, sys
from pydib.host import room
before = {name: os.lstat("/" + name).st_mode for name in os.listdir("/")}
room.enter(pickle.load(sys.stdin.buffer))
after = {name: os.lstat("/" + name).st_mode for name in os.listdir("/")}
own = sorted(os.listdir(after.pop(".pydib", "") and "/.pydib"))
assert {name: mode for name, mode in before.items() if name != ".pydib"} == after, (before, after)
assert os.getcwd() == os.environ["PWD"], os.getcwd()
print(*own, open("/.pydib/dib_build.00000000/mark").read(), os.path.exists("/proc/self"))
open("/only-in-the-room", "w").close()
"""


@pytest.mark.machine
@pytest.mark.parametrize("user_namespace", [False, True], ids=["root", "user-namespace"])
def test_the_room_holds_what_the_host_holds(tmp_path: Path, user_namespace: bool) -> None:
    for name in ("top/b", "i"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "top/b/mark").write_text("marked")
    steps = furnish(top=tmp_path / "top", build_dir=tmp_path / "top/b", image_dir=tmp_path / "i")
    user = ["--user", "--map-root-user"] if user_namespace else []
    argv = ["unshare", *user, "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", sys.executable,
            "-c", LOOK]
    done = subprocess.run(argv, input=pickle.dumps(steps), capture_output=True, check=False, cwd=tmp_path,
                          env={**os.environ, "PWD": str(tmp_path)})
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == [BUILD_DIR.name, IMAGE_DIR.name, "marked", "True"]
    assert not Path("/only-in-the-room").exists()
    assert sorted(path.name for path in (tmp_path / "top/b").iterdir()) == ["mark"]
