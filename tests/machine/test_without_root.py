"""Builds of an ordinary user: the same commands, in a user namespace, behind fences."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.conftest import Builder, UserBuilder
from tests.ordinary_user import User, ordinary_user

pytestmark = pytest.mark.machine


def test_the_same_command_builds_and_the_outputs_are_the_user_s(user_builder: UserBuilder) -> None:
    done = user_builder.run("-t", "raw,qcow2,tar", "--checksum", "tiny-os")
    assert done.returncode == 0, done.stdout
    outputs = sorted(user_builder.out.iterdir())
    assert [path.name for path in outputs] == [f"disk.{kind}{end}" for kind in ("qcow2", "raw", "tar")
                                               for end in ("", ".md5", ".sha256")]
    assert {path.stat().st_uid for path in outputs} == {user_builder.user.number}
    assert subprocess.run(["e2fsck", "-fn", user_builder.out / "disk.raw"], check=False,
                          capture_output=True).returncode == 0


def test_owners_in_the_image_are_those_that_scripts_gave(user_builder: UserBuilder) -> None:
    user_builder.script("owners", "install.d/50-owners", """#!/bin/bash
set -eu
mkdir /data; touch /data/{one,two,three,four}
chown 1000:1000 /data/one; chown 33:42 /data/two; chown 65534:65534 /data/three
chmod 4755 /data/four; chmod 2775 /data
""")
    user_builder.script("owners", "static/kept", "x")
    done = user_builder.run("-t", "raw,tar", "tiny-os", "owners")
    assert done.returncode == 0, done.stdout
    with tarfile.open(user_builder.out / "disk.tar") as packed:
        found = {name: (packed.getmember(f"./data/{name}").uid, packed.getmember(f"./data/{name}").gid)
                 for name in ("one", "two", "three", "four")}
    assert found == {"one": (1000, 1000), "two": (33, 42), "three": (65534, 65534), "four": (0, 0)}
    shown = subprocess.run(["debugfs", "-R", "ls -l /data", user_builder.out / "disk.raw"], capture_output=True,
                           text=True, check=True).stdout
    rows = {line.split()[-1]: line.split() for line in shown.splitlines() if line.strip()}
    assert {name: (int(rows[name][3]), int(rows[name][4])) for name in found} == found
    assert (rows["four"][1], rows["."][1]) == ("104755", "42775")


LOOK = """#!/bin/bash
set -eu
echo "ID $(id -u) $(id -g) SUDO $(command -v sudo) $(sudo id -u)"
: >/dev/null; head -c 1 /dev/zero >/dev/full && exit 1
head -c 8 /dev/urandom >/dev/null; [ -c /dev/ptmx ]; [ -d /dev/shm ]; [ -e /dev/fd/0 ]
echo "DEVICES $(ls /dev | tr '\\n' ' ')"
echo "PROCESSES $(ls /proc | grep -c '^[0-9]')"
[ -d /sys/kernel ]; ! mkdir /sys/x 2>/dev/null
"""


def test_scripts_see_root_our_sudo_a_dev_of_their_own_and_the_host_s_network(user_builder: UserBuilder) -> None:
    for phase in ("root", "cleanup"):
        user_builder.script("look", f"{phase}.d/50-look", LOOK + "ls -l /proc/self/ns/net | sed 's/.*-> /NET /'\n")
    done = user_builder.run("-t", "tar", "tiny-os", "look")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("ID ")] == [
        f"ID 0 0 SUDO {user_builder.user.library}/pydib/lib/tools/sudo 0"] * 2
    assert {line for line in lines if line.startswith("NET ")} == {f"NET {os.readlink('/proc/self/ns/net')}"}
    (devices,) = {line for line in lines if line.startswith("DEVICES ")}
    assert not any(name.startswith(("loop", "sd", "vd", "mapper", "dm-")) for name in devices.split())
    assert all(int(line.split()[1]) < 9 for line in lines if line.startswith("PROCESSES "))


def test_target_scripts_have_devices_and_see_no_process_of_the_host(user_builder: UserBuilder) -> None:
    user_builder.script("look", "install.d/50-look", """#!/bin/bash
set -eu
: >/dev/null; [ -c /dev/ptmx ]; [ -d /sys/kernel ]; ! touch /sys/x 2>/dev/null
echo "SEEN $(cat /proc/[0-9]*/comm | sort -u | tr '\\n' ' ')"
""")
    done = user_builder.run("-t", "tar", "tiny-os", "look")
    assert done.returncode == 0, done.stdout
    (seen,) = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert set(seen.split()[1:]) <= {"python3", "50-look", "cat", "sort", "tr", "bash"}


def test_scripts_of_root_can_furnish_the_tree_and_run_programs_in_it(user_builder: UserBuilder) -> None:
    """As the scripts of DIB's debian-minimal do it, and others; nothing of it stays in the tree."""
    user_builder.script("furnish", "root.d/50-furnish", """#!/bin/bash
set -eux
in_target() { sudo chroot "$TARGET_ROOT" /bin/sh -c "$1"; }
in_target 'echo lost >/dev/null; test -c /dev/null; head -c 1 /dev/urandom >/dev/null'
sudo mount -t proc none $TARGET_ROOT/proc
sudo mount -o ro -t sysfs none $TARGET_ROOT/sys
trap "sudo umount $TARGET_ROOT/proc; sudo umount $TARGET_ROOT/sys" EXIT
in_target 'test -e /proc/self/exe; test -d /sys/kernel; ! touch /sys/x'
sudo mount --bind /dev $TARGET_ROOT/dev
in_target 'test -c /dev/zero; test -d /dev/pts'
sudo umount $TARGET_ROOT/dev
sudo mount -t devpts -o newinstance,ptmxmode=0666 devpts $TARGET_ROOT/dev/pts
in_target 'test -c /dev/pts/ptmx; test -c /dev/null'
mount -t nothing none $TARGET_ROOT/tmp && exit 1
umount $TARGET_ROOT/tmp && exit 1
true
""")
    user_builder.script("furnish", "root.d/60-furnish", """#!/bin/bash
set -eu
[ -z "$(ls -A "$TARGET_ROOT/proc")$(ls -A "$TARGET_ROOT/sys")" ]
grep -F "$TARGET_ROOT/" /proc/self/mountinfo | grep -v "$TARGET_ROOT/dev" && exit 1
chroot "$TARGET_ROOT" /bin/sh -c 'test -c /dev/null'
""")
    done = user_builder.run("-t", "tar", "tiny-os", "furnish")
    assert done.returncode == 0, done.stdout
    assert any(line.startswith("mount: ") and "mnt/tmp" in line for line in done.stdout.splitlines())
    with tarfile.open(user_builder.out / "disk.tar") as packed:
        assert [name for name in packed.getnames() if name.startswith("./dev/")] == []


@pytest.mark.parametrize("phase", ["root", "post-root", "cleanup"])
def test_the_host_is_read_only_for_scripts_and_stays_so(user_builder: UserBuilder, phase: str) -> None:
    """Also for one that tries to change it back: the mounts belong to an outer user namespace."""
    home = user_builder.user.home
    user_builder.script("writes", f"{phase}.d/50-writes", f"""#!/bin/bash
for place in /etc /usr/local /opt {home} "$_LIB" "$_LIB/tools" /var/lib; do
    touch "$place/pydib-was-here" 2>/dev/null && echo "WROTE $place"
    mount -o remount,rw,bind "${{place%/*}}" 2>/dev/null
    mount -o remount,rw "$place" 2>/dev/null
    umount "$place" 2>/dev/null; umount -l / 2>/dev/null
    touch "$place/pydib-was-here" 2>/dev/null && echo "WROTE $place in the end"
done
umount /proc /dev/null /tmp 2>/dev/null
for place in /tmp /var/tmp "$TMPDIR" "$DIB_IMAGE_CACHE" "$DIB_LOCKFILES" "$PWD" "$TMP_BUILD_DIR" "$TMP_IMAGE_DIR"; do
    touch "$place/pydib-may-write" && rm "$place/pydib-may-write" && echo "MAY $place"
done
true
""")
    done = user_builder.run("-t", "tar", "tiny-os", "writes")
    assert done.returncode == 0, done.stdout
    assert "WROTE" not in done.stdout
    assert sum(line.startswith("MAY ") for line in done.stdout.splitlines()) == 8, done.stdout
    assert not [place for place in (Path("/etc"), Path("/usr/local"), Path("/opt"), home, Path("/var/lib"))
                if (place / "pydib-was-here").exists()]


def test_manifests_may_be_saved_where_the_user_wants_them(user_builder: UserBuilder) -> None:
    place = user_builder.user.home / "manifests"
    user_builder.script("saves", "cleanup.d/50-saves", '#!/bin/bash\ntouch "$DIB_MANIFEST_SAVE_DIR/manifest"\n')
    done = user_builder.run("-t", "tar", "tiny-os", "saves", DIB_MANIFEST_SAVE_DIR=str(place))
    assert done.returncode == 0, done.stdout
    assert (place / "manifest").stat().st_uid == user_builder.user.number


def test_a_block_device_is_refused_before_the_build_begins(user_builder: UserBuilder) -> None:
    user_builder.script("device", "finalise.d/50-device", '#!/bin/bash\nls "$IMAGE_BLOCK_DEVICE"\n')
    done = user_builder.run("-t", "raw", "tiny-os", "device")
    assert done.returncode == 1
    assert "this build needs a block device, since finalise.d/50-device of element device uses IMAGE_BLOCK_DEVICE" \
        in done.stdout
    assert "--assemble tree" in done.stdout
    assert "Running hooks" not in done.stdout
    assert user_builder.left() == []


def test_an_element_that_needs_a_device_and_hides_ours_that_needs_none_is_named(user_builder: UserBuilder) -> None:
    user_builder.script("bootloader", "finalise.d/50-bootloader", '#!/bin/bash\ngrub-install "$IMAGE_BLOCK_DEVICE"\n')
    done = user_builder.run("-t", "raw", "tiny-os", "bootloader")
    assert done.returncode == 1
    ours = user_builder.user.library / "elements/bootloader"
    assert f"{ours} needs none, but {user_builder.elements}/bootloader stands before it" in done.stdout


def test_a_script_that_may_need_loop_devices_is_named_before_the_build_begins(user_builder: UserBuilder) -> None:
    user_builder.script("cloud", "root.d/90-cloud", '#!/bin/bash\n[ ! -e /x ] || "$TMP_HOOKS_PATH/bin/extract-image"\n')
    done = user_builder.run("-t", "tar", "tiny-os", "cloud")
    assert done.returncode == 0, done.stdout
    before, _, _ = done.stdout.partition("Running hooks")
    assert "WARNING: root.d/90-cloud of element cloud uses extract-image, which needs loop devices" in before


def test_files_of_every_owner_go_with_a_failing_build(user_builder: UserBuilder) -> None:
    for phase in ("root", "install"):
        user_builder.script("fails", f"{phase}.d/50-fails", """#!/bin/bash
top="${TARGET_ROOT:-}"
mkdir -p "$top/private/deep"; touch "$top/private/deep/file"; chown -R 1000:1000 "$top/private"; chmod 0 "$top/private"
[ -n "$top" ] || exit 3
""")
    done = user_builder.run("-t", "tar", "--no-tmpfs", "tiny-os", "fails")
    assert done.returncode == 3, done.stdout
    assert user_builder.left() == []


@pytest.fixture(scope="module")
def user_without_ids() -> Iterator[User]:
    with ordinary_user(ids=False) as made:
        yield made


def test_without_subordinate_ids_the_command_that_grants_them_is_told(user_without_ids: User) -> None:
    pydib = user_without_ids.python("from pydib.cli.main import run; run()")
    env = f"ELEMENTS_PATH={user_without_ids.library}/fixtures/elements"
    build = user_without_ids.argv(env, *pydib, "build", "--no-base", "-t", "tar", "tiny-os")
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    name = user_without_ids.name
    assert f"{name} has 0 subordinate uids (/etc/subuid) and needs 65536" in done.stderr
    assert f"usermod --add-subuids 100000-165535 {name}" in done.stderr
    assert f"usermod --add-subgids 100000-165535 {name}" in done.stderr
    doctor = subprocess.run(user_without_ids.argv(*pydib, "doctor"), capture_output=True, text=True, check=False)
    assert doctor.returncode == 1
    assert f"usermod --add-subuids 100000-165535 {name}" in doctor.stdout


def test_in_a_container_with_a_masked_proc_the_option_that_unmasks_it_is_told(user_builder: UserBuilder) -> None:
    mask = 'mount -t tmpfs tmpfs /proc/fs && exec "$@"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mask, "sh", *user_builder.argv("tiny-os")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "parts of /proc are masked (/proc/fs)" in done.stdout + done.stderr
    assert "unmask=ALL" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_in_a_chroot_the_reason_is_told(user_builder: UserBuilder, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    binds = " && ".join(f"mkdir -p {root}/{name} && mount --rbind /{name} {root}/{name}"
                        for name in ("usr", "etc", "proc", "sys", "dev", "var", "tmp", "home"))
    links = " && ".join(f"ln -s usr/{name} {root}/{name}" for name in ("bin", "sbin", "lib", "lib64"))
    enter = f'{binds} && {links} && exec chroot {root} "$@"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh", *user_builder.argv("tiny-os")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the kernel makes no user namespaces for a process in a chroot" in done.stdout + done.stderr


SWITCH_OFF = """
import os, sys
from pydib.host import namespace
namespace._into_nested_user_namespace()
open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.setgroups([]), os.setgid({number}), os.setuid({number})
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_where_user_namespaces_are_switched_off_the_setting_is_told(user_builder: UserBuilder) -> None:
    """In a user namespace of its own, whose limit is 0, the kernel says the same as on such a machine."""
    argv = user_builder.user.python(SWITCH_OFF.format(number=user_builder.user.number))
    argv += user_builder.argv("tiny-os")[4:]
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(user_builder.user.library)})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "user namespaces are switched off: user.max_user_namespaces is 0" in done.stdout + done.stderr
    assert "sysctl -w user.max_user_namespaces=10000" in done.stdout + done.stderr


def test_root_in_a_container_without_rights_is_told_which(user_builder: UserBuilder) -> None:
    argv = ["capsh", "--drop=cap_sys_admin", "--", "-c", 'exec "$@"', "sh",
            *user_builder.user.python("from pydib.cli.drop_in import disk_image_create as d; d()"), "-n", "-o",
            str(user_builder.out / "x"), "tiny-os"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          env={**user_builder.environment, "PYTHONPATH": str(user_builder.user.library)})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "it lacks CAP_SYS_ADMIN" in done.stdout + done.stderr
    assert "--cap-add SYS_ADMIN" in done.stdout + done.stderr


def test_root_of_a_user_namespace_builds_too(user_builder: UserBuilder) -> None:
    """As in a rootless container that may make mounts."""
    build = user_builder.argv("-t", "raw", "tiny-os")
    inner = build[build.index("--") + 1:]
    argv = ["runuser", "-u", user_builder.user.name, "--", "unshare", "--user", "--map-root-user", "--map-auto",
            "--mount", "--pid", "--fork", "--mount-proc", *inner]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert user_builder.left() == ["disk.raw"]


def test_root_of_a_container_with_one_id_is_told_how_to_get_more(user_builder: UserBuilder) -> None:
    """As in a rootless container whose user has no subordinate ids."""
    pydib = user_builder.command("from pydib.cli.main import run; run()")
    one_id = [*pydib[:pydib.index("--") + 1], "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork",
              "--mount-proc", *pydib[pydib.index("--") + 1:]]
    for words in (["doctor"], ["build", "--no-base", "-t", "tar", "-o", str(user_builder.out / "disk"), "tiny-os"]):
        done = subprocess.run([*one_id, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "this container has 1 user or group ids, and images need 65536" in done.stdout + done.stderr
        assert "usermod --add-subuids 100000-165535" in done.stdout + done.stderr
    assert user_builder.left() == []


MANY_KINDS = """#!/bin/bash
set -eu
mkdir -p /data/deep; echo text > /data/one; ln /data/one /data/deep/hard; ln -s ../one /data/deep/soft
chown 33:42 /data/one; chmod 4755 /data/one; chown -h 1000:1000 /data/deep/soft; chmod 1777 /data/deep
touch /data/empty; chown 65534:65534 /data/empty; chmod 0 /data/empty
"""


def _contents(archive: Path) -> dict[str, tuple[object, ...]]:
    """Every file's kind, mode, owners, size, link, attributes; names that are one file, with one another."""
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed.getmembers()}
    first = {name: member.linkname if member.islnk() else name for name, member in members.items()}
    found: dict[str, tuple[object, ...]] = {}
    for name, member in members.items():
        one = members[first[name]]
        same = sorted(other for other, its_first in first.items() if its_first == first[name])
        attributes = sorted(key for key in one.pax_headers if "xattr" in key)
        found[name] = (one.type, member.mode, member.uid, member.gid, one.size, one.linkname, same, attributes)
    return found


def test_root_and_an_ordinary_user_build_the_same_tree(builder: Builder, user_builder: UserBuilder) -> None:
    found = []
    for each, mode in ((builder, "device"), (builder, "tree"), (user_builder, "tree")):
        each.script("kinds", "install.d/50-kinds", MANY_KINDS)
        each.environment |= {"DIB_ASSEMBLE": mode, "OVERWRITE_OLD_IMAGE": "1"}
        done = each.run("-t", "raw,tar", "tiny-os", "kinds")
        assert done.returncode == 0, done.stdout
        found.append(_contents(each.out / "disk.tar"))
        listed = subprocess.run(["debugfs", "-R", "ls -l /data", each.out / "disk.raw"], capture_output=True, text=True,
                                check=True).stdout
        rows = (line.split() for line in listed.splitlines() if line.strip())
        found[-1]["in the image"] = tuple(sorted((row[-1], row[1], row[3], row[4], row[5]) for row in rows))
    device, tree, user = found
    device.pop("./lost+found", None)
    assert tree == user
    assert device == tree
