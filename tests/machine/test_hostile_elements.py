"""Elements that do what no element should. Each ends with the host unchanged, and a message says what it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.machine.conftest import Builder, UserBuilder

pytestmark = pytest.mark.machine

BOTH, ROOT_ONLY, USER_ONLY = ("root", "user"), ("root",), ("user",)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What an element does, and how the build ends.

    Args:
        scripts: their text by their path in the element; `{precious}` is a folder on the host.
        code: the build's exit code; None for any but 0.
        says: what the output has to hold.
        never: what it must not hold.
        who: whose builds it concerns. Root's scripts may write to the host, as with DIB; only a user's may not.
    """

    name: str
    scripts: Mapping[str, str]
    code: int | None = 0
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    who: tuple[str, ...] = BOTH
    arguments: tuple[str, ...] = ("-t", "tar")
    environment: Mapping[str, str] = field(default_factory=dict)


def link_of(folder: str) -> dict[str, str]:
    """An element that puts a link to the host in the place of a folder of the target."""
    return {"root.d/90-link": f'rm -rf "$TARGET_ROOT/{folder}"; ln -s "{{precious}}" "$TARGET_ROOT/{folder}"',
            "install.d/50-nothing": "true"}


CASES = (
    Case(name="writes to the host", who=USER_ONLY, says=("Read-only file system",), scripts={"root.d/50-writes": """
for place in /etc /usr/bin /var/lib /opt "{precious}"; do
    touch "$place/was-here" || true
    rm -f "$place/kept" || true
done
"""}),
    Case(name="writes into the engine", who=USER_ONLY, code=None, says=("Read-only file system",), scripts={
        "root.d/50-writes": 'echo "exit 0" > "$_LIB/tools/sudo"'}),
    Case(name="mounts the host read-write", who=USER_ONLY, scripts={"root.d/50-mounts": """
for place in / /etc /usr /home "{precious}"; do mount -o remount,bind,rw "$place" || true; done
umount -l / || true; umount -l /home || true; mount --bind /tmp /home || true; umount /home || true
touch "{precious}/was-here" || true
"""}),
    Case(name="makes device nodes of the host's disks", who=USER_ONLY, code=None, says=("Operation not permitted",),
         scripts={"root.d/50-node": 'mknod "$TARGET_ROOT/dev/disk" b 254 0'}),
    Case(name="kills its parent", code=143, says=("interrupted by signal 15",), scripts={
        "root.d/50-kills": "kill -KILL $PPID; kill -KILL 1; kill -STOP 1; kill -TERM 1 || true"}),
    Case(name="kills everything", code=137, says=("root.d/50-kills of element hostile failed with exit code 137",),
         scripts={"root.d/50-kills": "kill -KILL -1 || true; kill -KILL $$"}),
    Case(name="unmounts proc", scripts={
        "root.d/50-unmounts": "sleep 1000 & umount -l /proc || true; umount -l /proc || true",
        "install.d/50-unmounts": "umount /proc; sleep 1000 &"},
         says=("phase root left processes running, now ended: sleep",)),
    Case(name="leaves mounts", scripts={"root.d/50-mounts": """
mkdir -p "$TARGET_ROOT/a b" "$TMP_BUILD_DIR/c"
mount -t tmpfs tmpfs "$TARGET_ROOT/a b"; mount -t tmpfs tmpfs "$TMP_BUILD_DIR/c"; mount --rbind /dev "$TMP_BUILD_DIR/c"
""", "install.d/50-mounts": "mkdir -p /mine && mount -t tmpfs tmpfs /mine && mount -t tmpfs tmpfs /tmp"}),
    Case(name="leaves daemons that hold the pipe", says=("phase install left processes running, now ended: ",),
         scripts={"install.d/50-daemon": "(sleep 1000 & trap '' TERM HUP; exec sleep 1002) & echo started"}),
    Case(name="forks without end", says=("Resource temporarily unavailable",), code=3,
         environment={"DIB_MAX_PROCESSES": "400"}, scripts={
             "root.d/50-bomb": "bomb() { bomb | bomb & }; bomb; while ((SECONDS < 2)); do :; done; exit 3"}),
    Case(name="renames its hook tree", code=None, says=("hooks",), scripts={
        "root.d/50-renames": 'mv "$TMP_HOOKS_PATH" "$TMP_HOOKS_PATH.gone"'}),
    Case(name="empties its hook tree", scripts={"root.d/50-empties": 'rm -rf "$TMP_HOOKS_PATH"/*'}),
    Case(name="changes the hook tree from inside", code=None, says=("Read-only file system",), scripts={
        "install.d/50-changes": 'echo "exit 0" > "$0"'}),
    Case(name="empties the build directory", code=None, says=("in:",), scripts={
        "root.d/50-empties": 'rm -rf "$TMP_BUILD_DIR"/* "$TMP_IMAGE_DIR"/* "$TMP_BUILD_DIR"/.[a-z]*'}),
    Case(name="moves the build directory away", code=None, says=("busy",), scripts={
        "root.d/50-moves": 'mv "$TMP_BUILD_DIR" "$TMP_BUILD_DIR.gone"'}),
    Case(name="moves the tree away", code=1, says=("mnt",), scripts={
        "root.d/50-moves": 'mv "$TMP_MOUNT_PATH" "$TMP_BUILD_DIR/elsewhere"'}),
    *(Case(name=f"makes /{folder} a link to the host", code=1, scripts=link_of(folder),
           says=(f"/{folder} of the target is a link that leads out of it",))
      for folder in ("etc", "tmp", "proc")),
    Case(name="makes /dev a link to the host", who=ROOT_ONLY, code=1, scripts=link_of("dev"),
         says=("/dev of the target is a link that leads out of it",)),
    Case(name="takes away the devices that it was lent", who=USER_ONLY, code=1, says=("Device or resource busy",),
         scripts={"root.d/90-takes": 'rm -rf "$TARGET_ROOT"/dev/* || [ -c /dev/null ]; rm -rf "$TARGET_ROOT/dev"'}),
    Case(name="makes /var a link to the host", scripts=link_of("var")),
    Case(name="makes fstab a link to the host", arguments=("-t", "raw"), scripts={
        "post-root.d/50-link": 'ln -sf "{precious}/kept" "$TMP_MOUNT_PATH/etc/fstab"'}),
    Case(name="makes resolv.conf a link to the host", scripts={
        "root.d/50-link": 'ln -sf "{precious}/kept" "$TARGET_ROOT/etc/resolv.conf"'}),
    Case(name="takes the engine's name in /tmp", code=1, says=("/tmp/in_target.d exists in the target already",),
         scripts={"root.d/50-link": 'ln -s "{precious}" "$TARGET_ROOT/tmp/in_target.d"',
        "install.d/50-nothing": "true"}),
    Case(name="nests folders without end", arguments=("-t", "tar", "--no-tmpfs"), code=3, scripts={
        "root.d/50-nests": 'cd "$TMP_BUILD_DIR"; p=$(printf "d/%.0s" {1..500})\n'
        'for i in 1 2 3; do mkdir -p "$p"; cd "$p"; done; exit 3'}),
    Case(name="leaves folders without end in the image", arguments=("-t", "tar", "--no-cache"), scripts={
        "install.d/50-nests": 'mkdir -p /tmp/x /var/log/x; p=$(printf "d/%.0s" {1..600})\n'
        'for x in /tmp/x /var/log/x; do cd "$x"; for i in 1 2 3; do mkdir -p "$p"; cd "$p"; echo x >file; done; done'}),
    Case(name="exports more than a program can be given", code=None, says=("Argument list too long",), scripts={
        "environment.d/50-much.bash": 'export MUCH="$(head -c 3000000 /dev/zero | tr "\\\\0" x)"',
        "root.d/60-x": "true"}),
    Case(name="prints what is no text", says=("printed",), scripts={
        "root.d/50-prints": "head -c 100000 /dev/urandom\n"
                            "printf '\\\\033]0;title\\\\a\\\\0\\\\377\\\\n'\necho printed"}),
    Case(name="asks and waits", says=("got nothing",), scripts={
        "root.d/50-asks": "read -r answer || echo got nothing; read -r answer </dev/tty || true"}),
    Case(name="removes its own interpreter from the target", code=None, says=("cannot be run",), scripts={
        "install.d/50-removes": "rm -f /bin/bash /bin/sh", "install.d/60-after": "true"}),
    Case(name="leaves files that nobody may read or change", code=3, arguments=("-t", "tar", "--no-tmpfs"), scripts={
        "root.d/50-locks": 'cd "$TARGET_ROOT"; mkdir -p x/y; chown -R 7:7 x; chmod -R 0 x; exit 3'}),
)


def _snapshot(*folders: Path) -> dict[str, str]:
    """Names, kinds, owners and contents of what must not change."""
    found = {}
    for folder in folders:
        for path in (folder, *sorted(folder.rglob("*"))):
            info = path.lstat()
            text = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[str(path)] = f"{info.st_mode:o} {info.st_uid} {text}"
    return found


def _host(precious: Path) -> tuple[object, ...]:
    """What a build must leave as it was. Users of tests that run beside us come and go."""
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("pydib-")]
    return _snapshot(precious), Path("/etc/resolv.conf").read_bytes(), users


@pytest.mark.parametrize(("case", "who"), [
    pytest.param(case, who, id=f"{case.name}-{who}".replace(" ", "_")) for case in CASES for who in case.who])
def test_hostile(case: Case, who: str, request: pytest.FixtureRequest) -> None:
    builder: Builder = request.getfixturevalue("builder" if who == "root" else "user_builder")
    precious = _precious(builder)
    for name, text in case.scripts.items():
        script = "#!/bin/bash\nset -eu\n" + text.replace("{precious}", str(precious)) + "\n"
        builder.script("hostile", name, script, mode=0o644 if name.startswith("environment.d") else 0o755)
    before = _host(precious)
    begun = time.monotonic()
    done = builder.run(*case.arguments, "tiny-os", "hostile", **case.environment)
    assert _host(precious) == before
    assert "Traceback" not in done.stdout, done.stdout[-3000:]
    assert done.returncode == case.code or (case.code is None and done.returncode != 0), done.stdout[-3000:]
    for text in case.says:
        assert text in done.stdout, done.stdout[-3000:]
    assert time.monotonic() - begun < 40


def _precious(builder: Builder) -> Path:
    """A folder of the host that is no one's to change but its owner's."""
    if isinstance(builder, UserBuilder):
        place = builder.user.home / "precious"
        place.mkdir(exist_ok=True)
        (place / "kept").write_text("precious")
        for path in (place, place / "kept"):
            os.chown(path, builder.user.number, builder.user.number)
    else:
        place = builder.elements.parent / "precious"
        place.mkdir()
        (place / "kept").write_text("precious")
        (place / "log").mkdir()
        (place / "log/syslog").write_text("a log of the host")
    return place


NAMES = ("a;touch PWNED", "$(touch PWNED)", "`touch PWNED`", "x\ntouch PWNED", "--help", "../../../etc", "a b",
         "|touch PWNED")


@pytest.mark.parametrize("name", NAMES)
def test_names_of_elements_and_outputs_never_reach_a_shell(builder: Builder, name: str) -> None:
    """C-011: names are split at blanks; what is then no element is said, and nothing runs."""
    done = builder.run("-t", "tar", "tiny-os", "--", name)
    assert not list(builder.elements.parent.rglob("PWNED"))
    assert done.returncode == (0 if name == "--help" and "Usage" in done.stdout else 1), done.stdout
    assert "Traceback" not in done.stdout
    if "/" not in name and name != "--help":
        done = builder.run("-t", "tar", "tiny-os", "-o", str(builder.out / name.replace("/", "_")))
        assert done.returncode == 0, done.stdout
        assert not list(builder.elements.parent.rglob("PWNED"))


def test_odd_names_in_the_hook_tree_never_reach_a_shell(builder: Builder) -> None:
    for name in ("50-ok;touch PWNED", "50-$(touch PWNED)", "50-a b", "50-x\ntouch PWNED", "50-ok"):
        builder.script("odd $(touch PWNED)", f"root.d/{name}", f"#!/bin/bash\necho 'RAN {name[:5]}'\n")
        builder.script("odd $(touch PWNED)", f"environment.d/{name}", "export X=1\n", mode=0o644)
    (builder.elements / "odd $(touch PWNED)").rename(builder.elements / "odd;$(touch${IFS}PWNED)")
    done = builder.run("-t", "tar", "tiny-os", "odd;$(touch${IFS}PWNED)")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("RAN 50-ok") == 1
    assert not list(builder.elements.parent.rglob("PWNED"))


MIB_PRINTED = 1000 if os.environ.get("PYDIB_BOOT_ALL") else 100


def test_a_gigabyte_of_output_costs_little_memory(builder: Builder) -> None:
    """In one line that does not end, and in lines of a thousand letters. A tenth of it shows the same in CI."""
    builder.script("hostile", "root.d/50-prints", "#!/bin/bash\n"
                   f"head -c {MIB_PRINTED * 8 // 10}M /dev/zero | tr '\\0' x\n"
                   f"set +o pipefail; yes \"$(printf 'y%.0s' {{1..999}})\" | head -c {MIB_PRINTED * 2 // 10}M\n")
    watch = f"{builder.out}/log"
    with Path(watch).open("wb") as log:
        build = subprocess.Popen(builder.argv("-t", "tar", "tiny-os", "hostile"), env=builder.environment, stdout=log,
                                 stderr=log, stdin=subprocess.DEVNULL)
        most = 0
        while build.poll() is None:
            most = max([most, *_resident_kib(build.pid)])
            time.sleep(0.05)
    assert build.returncode == 0, Path(watch).read_bytes()[-2000:]
    assert Path(watch).stat().st_size > MIB_PRINTED << 20
    assert most < 90 * 1024, f"{most} KiB"
    Path(watch).unlink()


def _resident_kib(pid: int) -> list[int]:
    found = []
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        found += [int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")]
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += _resident_kib(int(child))
    except OSError:
        pass
    return found


@pytest.mark.parametrize("who", BOTH)
def test_a_full_disk_is_said_and_given_back(who: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    builder: Builder = request.getfixturevalue("builder" if who == "root" else "user_builder")
    small = Path(f"/var/tmp/pydib-small-{os.getpid()}")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", small], check=True)
    try:
        builder.environment["TMPDIR"] = str(small)
        (small / "cache").mkdir(mode=0o777)
        (small / "cache").chmod(0o777)
        builder.script("hostile", "install.d/50-fills", "#!/bin/bash\ncat /dev/zero > /filler\n")
        done = builder.run("--no-tmpfs", "--image-cache", str(small / "cache"), "-t", "raw", "tiny-os", "hostile")
        assert done.returncode == 1, done.stdout[-3000:]
        assert "No space left on device" in done.stdout
        assert "Traceback" not in done.stdout
        assert [path.name for path in small.iterdir()] == ["cache"]
    finally:
        subprocess.run(["umount", small], check=True)
        small.rmdir()


@pytest.mark.parametrize("member", ["../../../../../../../../evil", "/evil", "link/evil"])
def test_archives_of_sources_stay_in_their_destination(builder: Builder, tmp_path: Path, member: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        if member.startswith("link"):
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, str(outside)
            packed.addfile(link)
        packed.addfile(tarfile.TarInfo(member))
        packed.addfile(tarfile.TarInfo("source/good"))
    builder.script("sourced", "source-repository-sourced", f"sourced tar /opt/sourced {archive.as_uri()}\n", mode=0o644)
    builder.script("sourced", "element-deps", "source-repositories\n", mode=0o644)
    before = set(Path("/").iterdir())
    done = builder.run("-t", "tar", "tiny-os", "tiny-gnu", "sourced")
    assert set(Path("/").iterdir()) == before
    assert list(outside.iterdir()) == []
    assert "Traceback" not in done.stdout
    if done.returncode == 0:
        listed = subprocess.run(["tar", "-tf", builder.out / "disk.tar"], capture_output=True, text=True, check=True)
        assert "./evil" not in listed.stdout.split()
