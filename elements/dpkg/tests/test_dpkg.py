"""Debian-family glue: the package tool, apt's surroundings, and what must not happen during a build."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ELEMENT = Path(__file__).parents[1]
OPTIONS = "--assume-yes --quiet --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold"


@pytest.fixture
def dpkg(fake_root, element):
    fake_root.like("debian-12")
    return element("dpkg")


@pytest.mark.parametrize(("arguments", "call"), [
    (["one", "two three"], f"apt-get {OPTIONS} install -- one two three"),
    (["-e", "one"], f"apt-get {OPTIONS} remove -- one"),
    (["-u"], f"apt-get {OPTIONS} dist-upgrade"),
    (["a=1.0", "/tmp/x.deb"], f"apt-get {OPTIONS} install -- a=1.0 /tmp/x.deb"),
])
def test_install_packages_asks_apt_once(dpkg, arguments, call):
    run = dpkg.run_with("bin/install-packages", *arguments, side="target")
    assert run.ok, run.output
    assert run.lines == [call]


def test_install_packages_translates_names_of_an_element(dpkg, commands):
    commands.on("pkg-map", "--element", "nova").prints("nova-compute\nnova-common qemu")
    run = dpkg.run_with("bin/install-packages", "-m", "nova", "compute", side="target")
    assert run.lines == ["pkg-map --missing-ok --element nova compute",
                         f"apt-get {OPTIONS} install -- nova-compute nova-common qemu"]


def test_names_that_map_to_nothing_are_no_error(dpkg, commands):
    commands.on("pkg-map").prints("")
    run = dpkg.run_with("bin/install-packages", "-m", "nova", "compute", side="target")
    assert run.ok
    assert not run.called("apt-get")


@pytest.mark.parametrize("arguments", [["-q", "one"], [], ["-m"]])
def test_install_packages_says_what_is_wrong(dpkg, arguments):
    run = dpkg.run_with("bin/install-packages", *arguments, side="target")
    assert (run.exit_code, run.calls) == (1, ())
    assert "install-packages -h" in run.output


def test_a_failing_apt_fails_the_build(dpkg, commands):
    commands.on("apt-get", "install").exits(100)
    assert dpkg.run_with("bin/install-packages", "one", side="target").exit_code == 100


@pytest.fixture
def up_to_date(dpkg, fake_root, commands):
    """A root that the bootstrap has just left."""
    fake_root.write("/var/lib/apt/lists/mirror.test_Packages", "lists")
    fake_root.write("/var/lib/dpkg/status", "packages")
    fake_root.write("/var/lib/apt/extended_states", "Package: auto\nArchitecture: all\nAuto-Installed: 1\n")
    commands.on("dpkg-query", "--show").prints("installed")
    commands.on("dpkg-query", "absent").exits(1)
    assert dpkg.run_with("apt-lists/mark", "/", "--newest", side="target").ok


@pytest.mark.parametrize(("arguments", "asks_apt"), [
    (["one"], False), (["one", "two"], False), (["-u"], False),
    (["absent"], True), (["auto"], True), (["one=1.0"], True), (["one/suite"], True), (["-e", "one"], True),
])
def test_apt_is_not_asked_about_what_is_installed_and_new(dpkg, up_to_date, arguments, asks_apt):
    run = dpkg.run_with("bin/install-packages", *arguments, side="target")
    assert run.ok, run.output
    assert run.called("apt-get") is asks_apt


@pytest.mark.parametrize("changed", ["/etc/apt/sources.list.d/x.list", "/etc/apt/preferences.d/x",
                                     "/var/lib/apt/lists/other_Packages", "/var/lib/dpkg/status"])
def test_apt_is_asked_as_soon_as_anything_has_changed(dpkg, fake_root, up_to_date, changed):
    fake_root.write(changed, "something else")
    assert dpkg.run_with("bin/install-packages", "one", side="target").called("apt-get", "install", "one")
    assert dpkg.run_with("bin/install-packages", "-u", side="target").called("apt-get", "dist-upgrade")


def test_keys_are_trusted_by_what_they_are(dpkg, fake_root):
    keys = fake_root.base / "keys"
    keys.mkdir()
    (keys / "text.key").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n")
    (keys / "binary.pub").write_bytes(b"\x99\x01\x02")
    run = dpkg.run("root.d/09-apt-keyring", env={"DIB_ADD_APT_KEYS": str(keys)})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/trusted.gpg.d/text.asc").startswith("-----BEGIN")
    assert fake_root.read_bytes("/etc/apt/trusted.gpg.d/binary.gpg") == b"\x99\x01\x02"


def test_a_missing_key_directory_is_said(dpkg):
    run = dpkg.run("root.d/09-apt-keyring", env={"DIB_ADD_APT_KEYS": "/nowhere"})
    assert run.exit_code == 1
    assert "'/nowhere'" in run.output


def test_translations_and_disk_syncs_are_off_during_the_build_only(dpkg, fake_root):
    for script in ("root.d/50-block-apt-translations", "root.d/50-trim-dpkg"):
        assert dpkg.run(script).ok
    assert fake_root.read("/etc/apt/apt.conf.d/95no-translations") == 'Acquire::Languages "none";\n'
    assert fake_root.read("/etc/dpkg/dpkg.cfg.d/02dib-unsafe-io") == "force-unsafe-io\n"
    run = dpkg.run("cleanup.d/60-untrim-dpkg")
    assert set(run.removed) >= {"/etc/apt/apt.conf.d/95no-translations", "/etc/dpkg/dpkg.cfg.d/02dib-unsafe-io"}


def test_the_hosts_network_settings_serve_the_build_only(dpkg, fake_root, commands):
    commands.fake("apt-config")
    commands.on("apt-config", "dump").prints(
        'Acquire "";\nAcquire::Check-Valid-Until "false";\nAcquire::http::Proxy "http://old:1";\n'
        'Acquire::Languages "none";\nAPT::Architecture "amd64";\nAcquire::https::CaInfo "/host/only";')
    run = dpkg.run("root.d/50-build-with-http-cache", env={"http_proxy": 'http://new:2/"'})
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/apt.conf.d/60img-build-proxy").splitlines() == [
        'Acquire::Check-Valid-Until "false";', 'Acquire::http::Proxy "http://old:1";',
        'Acquire::http::Proxy "http://new:2/%22";']
    assert dpkg.run("cleanup.d/50-remove-img-build-proxy").removed == ("/etc/apt/apt.conf.d/60img-build-proxy",)


def test_nothing_is_written_where_apt_needs_nothing(dpkg, commands):
    commands.fake("apt-config")
    run = dpkg.run("root.d/50-build-with-http-cache", env={"http_proxy": "", "https_proxy": ""})
    assert run.ok, run.output
    assert run.wrote == ()


@pytest.fixture
def cache(dpkg, fake_root, commands):
    """The build host's cache with one package file; mounts are recorded only."""
    for name in ("mount", "umount", "mountpoint"):
        commands.fake(name)
    commands.on("mountpoint").exits(1)
    cache = fake_root.base / "cache/apt/debian"
    cache.mkdir(parents=True)
    (cache / "old_1_all.deb").write_bytes(b"old")
    return cache


def test_package_files_of_earlier_builds_are_lent_and_new_ones_kept(dpkg, fake_root, cache):
    archives = "/var/cache/apt/archives"
    run = dpkg.run("root.d/50-shared-apt-cache")
    assert run.ok, run.output
    assert run.called("mount", "--bind", str(cache))
    assert run.called("mount", "-o", "remount,bind,ro")
    assert fake_root.link(f"{archives}/old_1_all.deb") == "../lent/old_1_all.deb"

    fake_root.write(f"{archives}/new_2_all.deb", b"new")
    run = dpkg.run("post-root.d/90-keep-for-later-builds")
    assert run.ok, run.output
    kept = {path.name: path.read_bytes() for path in cache.iterdir()}
    assert kept == {"old_1_all.deb": b"old", "new_2_all.deb": b"new"}
    assert fake_root.tree("/var/cache/apt") == [f"{archives}/partial"]


def test_spoiling_package_files_in_the_image_leaves_the_cache_alone(dpkg, fake_root, cache):
    dpkg.run("root.d/50-shared-apt-cache")
    fake_root.remove("/var/cache/apt/archives/old_1_all.deb")
    dpkg.run("post-root.d/90-keep-for-later-builds")
    assert (cache / "old_1_all.deb").read_bytes() == b"old"


@pytest.mark.parametrize(("env", "left"), [({}, False), ({"DIB_DISABLE_APT_CLEANUP": "1"}, True)])
def test_package_files_can_be_fetched_anew(dpkg, fake_root, cache, env, left):
    env |= {"DIB_APT_LOCAL_CACHE": "0"}
    assert not dpkg.run("root.d/50-shared-apt-cache", env=env).calls
    fake_root.write("/var/cache/apt/archives/new_2_all.deb", b"new")
    assert dpkg.run("post-root.d/90-keep-for-later-builds", env=env).ok
    assert fake_root.exists("/var/cache/apt/archives/new_2_all.deb") is left
    assert [path.name for path in cache.iterdir()] == ["old_1_all.deb"]


@pytest.fixture
def diverted(fake_root, commands):
    """Has dpkg know of a diversion made by hand."""

    def divert(program: str) -> None:
        fake_root.write("/var/lib/dpkg/diversions", f"{program}\n{program}.distrib\n:\n")
        commands.on("dpkg-divert", "--listpackage", program).prints("LOCAL")

    return divert


def test_no_service_is_started_during_the_build(dpkg, fake_root, commands, diverted):
    fake_root.write("/usr/sbin/start-stop-daemon", "the real one", mode=0o755)
    fake_root.write("/usr/sbin/policy-rc.d", "the image's own", mode=0o755)
    commands.on("dpkg-query", "--search", "/usr/sbin/start-stop-daemon").prints("dpkg: it")
    for other in ("/sbin/start-stop-daemon", "/sbin/initctl"):
        commands.on("dpkg-query", "--search", other).exits(1)
    run = dpkg.run("root.d/50-block-daemons")
    assert run.ok, run.output
    assert fake_root.read("/usr/sbin/policy-rc.d").endswith("exit 101\n")
    assert fake_root.mode("/usr/sbin/policy-rc.d") == 0o755
    assert fake_root.read("/usr/sbin/start-stop-daemon.distrib") == "the real one"
    assert fake_root.read("/usr/sbin/start-stop-daemon") != "the real one"

    diverted("/usr/sbin/start-stop-daemon")
    run = dpkg.run("cleanup.d/40-unblock-daemons")
    assert run.ok, run.output
    assert fake_root.read("/usr/sbin/start-stop-daemon") == "the real one"
    assert set(run.removed) == {"/usr/sbin/policy-rc.d.distrib", "/usr/sbin/start-stop-daemon.distrib"}
    assert run.called("dpkg-divert", "--remove", "/usr/sbin/start-stop-daemon")


def test_blocking_services_twice_changes_nothing(dpkg, fake_root, commands):
    fake_root.write("/usr/sbin/policy-rc.d", "mine", mode=0o755)
    commands.on("dpkg-query").exits(1)
    assert dpkg.run("root.d/50-block-daemons").ok
    assert dpkg.run("root.d/50-block-daemons").ok
    assert dpkg.run("cleanup.d/40-unblock-daemons").ok
    assert fake_root.read("/usr/sbin/policy-rc.d") == "mine"


@pytest.mark.parametrize(("arguments", "noted", "passed"), [
    (["-c", "-k", "6.1", "-b", "/boot"], "-c -k 6.1 -b /boot\n", False),
    (["-u"], "-u\n", False),
    (["-d", "-k", "6.1"], "", True),
    (["--version"], "", True),
])
def test_making_an_initramfs_is_put_off(dpkg, fake_root, arguments, noted, passed):
    fake_root.write("/usr/sbin/update-initramfs.distrib", '#!/bin/sh\necho "real $*"\n', mode=0o755)
    run = dpkg.run_with("stand-ins/update-initramfs", *arguments, side="target")
    assert run.ok, run.output
    asked = "/var/lib/dib-initramfs/asked"
    assert (fake_root.read(asked) if fake_root.exists(asked) else "") == noted
    assert (f"real {' '.join(arguments)}" in run.output) is passed


def test_putting_off_can_be_declined(dpkg):
    assert dpkg.run("root.d/50-defer-initramfs", env={"DIB_DEFER_INITRAMFS": "0"}).calls == ()


def updates(run) -> list[str]:
    return [call.line for call in run.calls if call.name == "update-initramfs"]


@pytest.mark.parametrize(("asked", "made"), [
    ("-u\n-c -k new -b /boot\n-u\n-c -k new -b /boot\n", ["-c -k new", "-u -k old"]),
    ("-c -k new -b /boot\n", ["-c -k new"]),
    ("-u\n", ["-u -k old", "-c -k new"]),
    ("-c -knew\n", ["-c -k new"]),
    ("-c -k gone\n", ["-c -k new"]),
])
def test_each_kernel_gets_its_initramfs_once(dpkg, fake_root, asked, made):
    """`old` has an initramfs already, `new` has none, `gone` was removed again."""
    for version in ("old", "new"):
        fake_root.mkdir(f"/lib/modules/{version}")
        fake_root.write(f"/boot/vmlinuz-{version}", "")
    fake_root.write("/boot/initrd.img-old", "")
    fake_root.write("/var/lib/dib-initramfs/asked", asked)
    run = dpkg.run("finalise.d/40-initramfs")
    assert run.ok, run.output
    assert sorted(updates(run)) == sorted(f"update-initramfs {words}" for words in made)
    assert not fake_root.exists("/var/lib/dib-initramfs")


def test_the_build_hosts_disks_are_not_written_down_in_the_image(dpkg, fake_root, commands):
    fake_root.write("/boot/vmlinuz-new", "")
    fake_root.mkdir("/lib/modules/new")
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k new\n")
    commands.on("update-initramfs").does('echo "kept in $BLKID_FILE"')
    assert "kept in /dev/null" in dpkg.run("finalise.d/40-initramfs").output


def test_update_initramfs_is_back_before_it_is_used(dpkg, fake_root, diverted):
    diverted("/usr/sbin/update-initramfs")
    fake_root.write("/usr/sbin/update-initramfs", "stand-in", mode=0o755)
    fake_root.write("/usr/sbin/update-initramfs.distrib", "#!/bin/sh\necho real: $*\n", mode=0o755)
    fake_root.mkdir("/lib/modules/new")
    fake_root.write("/boot/vmlinuz-new", "")
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k new\n")
    run = dpkg.run("finalise.d/40-initramfs")
    assert run.called("dpkg-divert", "--remove", "/usr/sbin/update-initramfs")
    assert "real: -c -k new" in run.output


def test_a_kernel_of_the_bootstrap_has_not_asked(dpkg, fake_root, diverted):
    fake_root.mkdir("/lib/modules/new")
    fake_root.write("/boot/vmlinuz-new", "")
    fake_root.write("/usr/sbin/update-initramfs", "#!/bin/sh\necho real: $*\n", mode=0o755)
    assert dpkg.run("root.d/50-defer-initramfs").ok
    diverted("/usr/sbin/update-initramfs")
    assert "real: -c -k new" in dpkg.run("finalise.d/40-initramfs").output


@pytest.mark.parametrize("env", [{"INITRD": "No"}, {"DIB_DEFER_INITRAMFS": "0"}])
def test_a_kernel_without_initramfs_is_left_alone(dpkg, fake_root, env):
    fake_root.mkdir("/lib/modules/new")
    fake_root.write("/boot/vmlinuz-new", "")
    assert dpkg.run("root.d/50-defer-initramfs", env=env).ok
    assert updates(dpkg.run("finalise.d/40-initramfs", env=env)) == []


@pytest.fixture
def made_early(dpkg, fake_root):
    """A kernel's initramfs was made by install.d/90; gives the calls of update-initramfs in finalise.d/40."""
    fake_root.mkdir("/lib/modules/new/kernel")
    fake_root.write("/lib/modules/new/kernel/a.ko", "module")
    fake_root.write("/boot/vmlinuz-new", "")
    fake_root.write("/etc/initramfs-tools/modules", "")
    fake_root.write("/usr/sbin/update-initramfs.distrib", "#!/bin/sh\necho early: $*\n>/boot/initrd.img-$3\n",
                    mode=0o755)
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k new\n")
    run = dpkg.run("install.d/90-initramfs")
    assert run.ok, run.output
    assert "early: -c -k new" in run.output

    def at_the_end() -> list[str]:
        run = dpkg.run("finalise.d/40-initramfs")
        assert run.ok, run.output
        assert not fake_root.exists("/var/lib/dib-initramfs")
        return updates(run)

    return at_the_end


@pytest.mark.parametrize("changes", [
    {"/etc/edited": "1", "/etc/fstab": "LABEL=root / ext4 defaults 0 1\n"},
    {"/etc/fstab": "LABEL=root / ext4 defaults 0 1\n/dev/vdb /srv ext4 defaults 0 2\n"},
])
def test_an_initramfs_stands_while_what_it_is_made_of_does(made_early, fake_root, changes):
    for path, text in changes.items():
        fake_root.write(path, text)
    assert made_early() == []


@pytest.mark.parametrize("changes", [
    {"/etc/initramfs-tools/modules": "virtio_blk\n"},
    {"/etc/initramfs-tools/conf.d/dib-lvm": "MODULES=most\n"},
    {"/etc/modprobe.d/blacklist.conf": "blacklist floppy\n"},
    {"/lib/modules/new/kernel/a.ko": "another"},
    {"/lib/modules/new/updates/b.ko": "one more"},
    {"/etc/crypttab": "x\n"},
    {"/etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n"},
    {"/etc/fstab": "LABEL=root / ext4 defaults 0 1\nLABEL=usr /usr ext4 defaults 0 1\n"},
    {"/usr/share/initramfs-tools/hooks/new-one": "#!/bin/sh\n"},
    {"/var/lib/dib-initramfs/asked": "-u\n"},
])
def test_an_initramfs_that_is_out_of_date_is_made_again(made_early, fake_root, changes):
    for path, text in changes.items():
        fake_root.write(path, text)
    assert made_early() == ["update-initramfs -u -k new"]


@pytest.mark.parametrize(("hook", "made"), [("fsck", []), ("mine", ["update-initramfs -u -k new"])])
def test_a_hook_may_read_fstab(dpkg, fake_root, hook, made):
    fake_root.mkdir("/lib/modules/new")
    fake_root.write(f"/usr/share/initramfs-tools/hooks/{hook}", "#!/bin/sh\ngrep swap /etc/fstab\n")
    fake_root.write("/usr/sbin/update-initramfs.distrib", "#!/bin/sh\n>/boot/initrd.img-$3\n", mode=0o755)
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k new\n")
    assert dpkg.run("install.d/90-initramfs").ok
    fake_root.write("/etc/fstab", "LABEL=swap none swap defaults 0 0\n")
    assert updates(dpkg.run("finalise.d/40-initramfs")) == made


def test_a_kernel_that_comes_later_gets_its_own(made_early, fake_root):
    fake_root.write("/lib/modules/later/kernel/a.ko", "module")
    fake_root.write("/boot/vmlinuz-later", "")
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k later\n")
    assert made_early() == ["update-initramfs -c -k later"]


def test_without_a_stand_in_nothing_is_made_early(dpkg, fake_root):
    fake_root.write("/boot/vmlinuz-new", "")
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k new\n")
    run = dpkg.run("install.d/90-initramfs")
    assert run.ok and updates(run) == []


def test_a_failing_initramfs_fails_the_build(dpkg, fake_root, commands):
    fake_root.mkdir("/lib/modules/new")
    fake_root.write("/boot/vmlinuz-new", "")
    fake_root.write("/var/lib/dib-initramfs/asked", "-c -k new\n")
    commands.on("update-initramfs").exits(3)
    assert dpkg.run("finalise.d/40-initramfs").exit_code == 3


# ruff: noqa: E101 (the library is indented by tabs)
LIBRARY = """\
manual_add_modules()
{
	{ echo a; echo a;
	  modprobe --show-depends "$@"; } |
	while read -r word; do
		echo "$word"
	done
}
"""


@pytest.mark.parametrize("is_mount_point", [True, False])
def test_initramfs_tools_library_is_quickened(dpkg, fake_root, commands, is_mount_point):
    """The namespace and the mount in it are acted."""
    path = "/usr/share/initramfs-tools/hook-functions"
    fake_root.write(path, LIBRARY)
    commands.fake("unshare")
    private = "true" if is_mount_point else "exit 1"
    commands.on("unshare").does(f"""
        shift
        if [ "$1 $2" = "--propagation unchanged" ]; then shift 2; else {private}; fi
        if [ "$1" = --propagation ]; then shift 2; fi
        "$@"
    """)
    commands.fake("mount")
    commands.on("mount", "--bind", "-n").does('cp "$3" "$4"')
    commands.on("update-initramfs").does(f'. {path}; echo "lines: $(manual_add_modules | wc -l)"')
    run = dpkg.run_with("initramfs/quickly", "update-initramfs", "-u", side="target")
    assert run.ok, run.output
    assert "lines: 1" in run.output
    assert bool(run.called("unshare", "--mount", "--propagation", "unchanged", "sh")) is not is_mount_point
    assert fake_root.tree("/tmp") == []


COPYING = """\
copy_file() { echo "one by one: $2"; }
manual_add_modules()
{
	{ modprobe --show-depends "$@"; } |
	while read -r prefix kmod options; do
		if [ "${prefix}" != "insmod" ]; then
			continue
		fi
		copy_file module "${kmod}" || continue
		echo "firmware of ${kmod}"
	done
}
"""
MODULES = "/lib/modules/6/kernel"


@pytest.fixture
def modules(dpkg, fake_root, commands):
    """Has the modules that modprobe names added to an initramfs in /initramfs; gives what the library did and said."""
    fake_root.write("/usr/share/initramfs-tools/hook-functions", COPYING)
    for name in ("plain", "firm", "there"):
        fake_root.write(f"{MODULES}/net/{name}.ko", name, mode=0o640)
        os.utime(fake_root.path(f"{MODULES}/net/{name}.ko"), (1e9, 1e9))
    fake_root.symlink(f"{MODULES}/net/link.ko", "plain.ko")
    fake_root.symlink(f"{MODULES}/other", "net")
    fake_root.write(f"/initramfs/usr{MODULES}/net/there.ko", "there already")
    names = ("net/plain", "net/firm", "net/there", "net/link", "other/firm", "net/missing", "../kernel/net/firm")
    fake_root.write("/depends", "builtin x\n" + "".join(f"insmod {MODULES}/{name}.ko opt=1\n" for name in names))
    commands.on("modprobe").does("cat /depends")
    commands.fake("modinfo")
    commands.on("modinfo").does("""
        for module; do
            case "$module" in
                *.ko) echo "filename:       $module" ;;
            esac
            case "$module" in
                *firm.ko) echo "firmware:       x.bin"; echo "firmware:       y.bin" ;;
            esac
        done
    """)
    commands.fake("unshare")
    commands.on("unshare").does('shift; if [ "$1" = --propagation ]; then shift 2; fi; "$@"')
    commands.fake("mount")
    commands.on("mount", "--bind", "-n").does('cp "$3" "$4"')

    def add(**env: str) -> list[str]:
        commands.on("update-initramfs").does(
            "export DESTDIR=/initramfs version=6; . /usr/share/initramfs-tools/hook-functions; manual_add_modules x")
        run = dpkg.run_with("initramfs/quickly", "update-initramfs", "-u", side="target", env=env)
        assert run.ok, run.output
        return run.output.splitlines()

    return add


def test_modules_are_copied_all_at_once(modules, fake_root):
    left_over = ["net/link", "other/firm", "net/missing", "../kernel/net/firm"]
    assert modules() == [f"{how}{MODULES}/{name}.ko" for name in left_over for how in ("one by one: ", "firmware of ")
                         ] + [f"firmware of {MODULES}/net/firm.ko"]
    made = {path: fake_root.read(path) for path in fake_root.tree("/initramfs") if path.endswith(".ko")}
    assert made == {f"/initramfs/usr{MODULES}/net/{name}.ko": text
                    for name, text in (("plain", "plain"), ("firm", "firm"), ("there", "there already"))}
    copy = fake_root.path(f"/initramfs/usr{MODULES}/net/plain.ko").stat()
    assert (copy.st_mtime, copy.st_mode & 0o777) == (1e9, 0o640)


def test_modules_are_copied_one_by_one_where_each_is_told(modules, fake_root):
    assert f"one by one: {MODULES}/net/plain.ko" in modules(verbose="y")
    assert not fake_root.exists(f"/initramfs/usr{MODULES}/net/plain.ko")


def test_a_library_of_another_version_copies_its_modules_itself(modules, fake_root):
    fake_root.write("/usr/share/initramfs-tools/hook-functions", COPYING.replace("copy_file module", "copy_file -m"))
    assert f"one by one: {MODULES}/net/plain.ko" in modules()
    assert not fake_root.exists(f"/initramfs/usr{MODULES}/net/plain.ko")


ZSTD = """
    if [ "$1" = -dcq ]; then
        sed -e 's/ packed$//'
    else
        for last; do :; done
        if [ "$last" = -c ]; then cat; else cat "$last"; fi
        printf ' packed'
    fi
"""


@pytest.fixture
def compressed(dpkg, fake_root, commands):
    """Has an archive compressed; gives how often that was done anew, and the outcome."""
    fake_root.mkdir("/var/cache/dib-initramfs/new")
    commands.fake("zstd")
    commands.on("zstd").does(ZSTD)

    def compress(text: str, *arguments: str) -> tuple[int, str]:
        fake_root.write("/archive", text)
        run = dpkg.run_with("initramfs/compress", *arguments, "-c", "/archive", side="target")
        assert run.ok, run.output
        assert fake_root.tree("/tmp") == []
        return sum(call.matches("zstd", "-c", "/archive") for call in run.calls), run.output.splitlines()[-1]

    return compress


def test_an_archive_is_compressed_once(compressed):
    assert compressed("a", "-9") == (1, "a packed")
    assert compressed("a", "-9") == (0, "a packed")
    assert compressed("b", "-9") == (1, "b packed")
    assert compressed("b", "-19") == (1, "b packed")


def test_a_note_that_holds_another_archive_does_not_count(compressed, fake_root):
    compressed("a", "-9")
    (note,) = [path for path in fake_root.tree("/var/cache/dib-initramfs/new") if path.endswith("/compressed")]
    fake_root.write(note, "another packed")
    assert compressed("a", "-9") == (1, "a packed")
    assert compressed("a", "-9") == (0, "a packed")


def test_an_archive_on_the_input_is_compressed_once(dpkg, fake_root, commands, compressed):
    fake_root.write("/compress", "#!/bin/sh\nprintf a | /tmp/in_target.d/initramfs/compress -9 -c\n", mode=0o755)
    commands.on("update-initramfs").does("/compress")
    runs = [dpkg.run_with("initramfs/quickly", "update-initramfs", side="target") for _ in "12"]
    assert [run.called("zstd", "-9", "-c") for run in runs] == [True, False]
    assert [run.output.splitlines()[-1] for run in runs] == ["a packed"] * 2
    assert fake_root.tree("/tmp") == []


@pytest.mark.parametrize("arguments", [("-q", "/archive"), ("-d",)])
def test_other_uses_of_zstd_are_left_alone(dpkg, fake_root, commands, arguments):
    fake_root.mkdir("/var/cache/dib-initramfs/new")
    fake_root.write("/archive", "a")
    commands.fake("zstd")
    run = dpkg.run_with("initramfs/compress", *arguments, side="target")
    assert run.ok and run.called("zstd", *arguments)
    assert fake_root.tree("/var/cache/dib-initramfs/new") == []


def test_a_failing_compression_fails_and_is_not_kept(dpkg, fake_root, commands):
    fake_root.mkdir("/var/cache/dib-initramfs/new")
    fake_root.write("/archive", "a")
    commands.fake("zstd")
    commands.on("zstd").exits(4)
    assert dpkg.run_with("initramfs/compress", "-c", "/archive", side="target").exit_code == 4
    assert not any(path.endswith("/after") for path in fake_root.tree("/var/cache/dib-initramfs/new"))


def test_only_the_newest_compressed_archives_are_kept(dpkg, fake_root, cache):
    kept = cache.parent.parent / "initramfs"
    assert dpkg.run("root.d/50-defer-initramfs").ok
    for number in range(6):
        (kept / f"{number}").mkdir()
        (kept / f"{number}/compressed").touch()
        os.utime(kept / f"{number}/compressed", (number, number))
    (kept / "drivers").mkdir()
    assert dpkg.run("post-root.d/90-keep-for-later-builds").ok
    assert sorted(path.name for path in kept.iterdir()) == ["2", "3", "4", "5", "drivers"]


NORMAL = """\
normal() {
	target=$1 src=$2 link_target=$3
	target="$(realpath -ms "/${target}")" || return 2
	if [ "${link_target}" != "$(realpath -s "$src")" ]; then
		echo "$target differs"
	fi
	echo "$target"
}
"""


@pytest.mark.parametrize("path", ["/lib/x", "//lib//x", "/lib/./x", "/a/../lib/x", "/lib/", "/lib/.", "/a b/*"])
def test_quicker_lines_give_the_same_answers(tmp_path, path):
    for name in ("a/y", "lib/x", "a b/*"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    changed = subprocess.run(["sed", "-f", str(ELEMENT / "initramfs/quicker.sed")], input=NORMAL,
                             capture_output=True, text=True, check=True).stdout
    assert changed.count("case ") == 2
    asked = [f"{tmp_path}{path}", f"{tmp_path}{path}", f"{tmp_path}/lib/x"]
    answers = [subprocess.run(["sh", "-euc", library + 'normal "$@"', "x", *asked],
                              capture_output=True, text=True, check=True).stdout for library in (NORMAL, changed)]
    assert answers[0] == answers[1] != ""


@pytest.mark.parametrize("library", [LIBRARY, None])
def test_without_a_namespace_the_command_runs_as_it_is(dpkg, fake_root, commands, library):
    path = "/usr/share/initramfs-tools/hook-functions"
    if library:
        fake_root.write(path, library)
    commands.fake("unshare")
    commands.on("unshare").exits(1)
    commands.on("update-initramfs").exits(7)
    run = dpkg.run_with("initramfs/quickly", "update-initramfs", "-u", side="target")
    assert (run.exit_code, run.lines[-1]) == (7, "update-initramfs -u")


def test_package_lists_are_fetched_when_the_sources_have_changed(dpkg, fake_root):
    fake_root.write("/etc/apt/sources.list.d/default.list", "deb http://mirror.test/debian stable main\n")
    fake_root.write("/var/lib/apt/lists/mirror.test_Packages", "")
    script = "pre-install.d/99-apt-get-update"
    assert dpkg.run(script).called("apt-get", "update")
    assert not dpkg.run(script).called("apt-get"), "they are fresh now"
    fake_root.write("/etc/apt/sources.list.d/more.list", "deb http://mirror.test/more stable main\n")
    assert dpkg.run(script).called("apt-get", "update")
    fake_root.remove("/var/lib/apt/lists/mirror.test_Packages")
    assert dpkg.run(script).called("apt-get", "update")


def test_recommended_packages_stay_out(dpkg, fake_root):
    dpkg.run("pre-install.d/00-disable-apt-recommends")
    assert 'Install-Recommends "0"' in fake_root.read("/etc/apt/apt.conf.d/95disable-recommends")


def test_manifest_lists_the_packages(dpkg, fake_root, commands):
    commands.on("dpkg-query", "--show").prints(
        '{"package":"a","arch":"all","version":"1:2~3","status":"ii "}\n'
        '{"package":"b:amd64","arch":"amd64","version":"4","status":"ii "}')
    run = dpkg.run("finalise.d/99-write-dpkg-manifest", env={"IMAGE_NAME": "/some/where/disk"})
    assert run.ok, run.output
    manifest = json.loads(fake_root.read("/etc/dib-manifests/dib-manifest-dpkg-disk"))
    assert manifest["packages"][1] == {"package": "b:amd64", "arch": "amd64", "version": "4", "status": "ii"}


@pytest.mark.parametrize(("env", "cleaned"), [({}, True), ({"DIB_DISABLE_APT_CLEANUP": "1"}, False)])
def test_package_files_do_not_stay_in_the_image(dpkg, env, cleaned):
    assert dpkg.run("finalise.d/99-clean-up-cache", env=env).called("apt-get", "clean") is cleaned


@pytest.fixture
def archives(fake_root, element):
    """The element, a root, and a cache with one package file of an earlier build."""
    fake_root.like("debian-12")
    (fake_root.base / "cache/apt/debian").mkdir(parents=True)
    (fake_root.base / "cache/apt/debian/old_1_all.deb").write_text("old")
    return element("dpkg")


def test_package_files_of_earlier_builds_are_lent(archives, fake_root):
    cache = fake_root.base / "cache/apt/debian"
    run = archives.run_with("apt-archives/lend", str(fake_root.directory), str(cache), side="host")
    assert run.ok, run.output
    assert fake_root.link("/var/cache/apt/archives/old_1_all.deb") == "../lent/old_1_all.deb"
    assert fake_root.tree("/var/cache/apt/lent") == [], "what was bound there went with the script"


def test_package_files_of_this_build_are_kept_and_none_stay_in_the_image(archives, fake_root):
    fake_root.write("/var/cache/apt/archives/new_1_all.deb", "new")
    fake_root.symlink("/var/cache/apt/archives/old_1_all.deb", "../lent/old_1_all.deb")
    fake_root.mkdir("/var/cache/apt/lent")
    run = archives.run("post-root.d/90-keep-for-later-builds")
    assert run.ok, run.output
    cache = fake_root.base / "cache/apt/debian"
    assert {file.name: file.read_text() for file in cache.iterdir()} == {"old_1_all.deb": "old", "new_1_all.deb": "new"}
    assert fake_root.tree("/var/cache/apt") == ["/var/cache/apt/archives/partial"]


@pytest.mark.parametrize(("env", "kept"), [
    ({"DIB_APT_LOCAL_CACHE": "0"}, False), ({"DIB_APT_LOCAL_CACHE": "0", "DIB_DISABLE_APT_CLEANUP": "1"}, True)])
def test_without_a_cache_package_files_are_dropped_unless_they_are_wanted(archives, fake_root, env, kept):
    fake_root.write("/var/cache/apt/archives/new_1_all.deb", "new")
    assert archives.run("post-root.d/90-keep-for-later-builds", env=env).ok
    assert fake_root.exists("/var/cache/apt/archives/new_1_all.deb") is kept
    assert not (fake_root.base / "cache/apt/debian/new_1_all.deb").exists()


def test_mmdebstraps_hooks_do_what_root_d_does_only_earlier(fake_root, element):
    fake_root.like("debian-12").write("/usr/sbin/update-initramfs", "the real one", mode=0o755)
    dpkg = element("dpkg")
    early = dpkg.run_with("mmdebstrap-hooks/setup50-dpkg", str(fake_root.directory), side="host")
    assert early.ok, early.output
    assert dpkg.run("root.d/50-trim-dpkg").changes.added == {}
    essential = dpkg.run_with("mmdebstrap-hooks/essential50-dpkg", str(fake_root.directory), side="host")
    assert essential.ok, essential.output
    assert essential.called("dpkg-divert", "--add", "/usr/sbin/update-initramfs")
    assert fake_root.read("/usr/sbin/update-initramfs.distrib") == "the real one"
    fake_root.write("/var/cache/apt/archives/new_1_all.deb", "new")
    last = dpkg.run_with("mmdebstrap-hooks/customize90-dpkg", str(fake_root.directory), side="host")
    assert last.ok, last.output
    assert not fake_root.exists("/var/cache/apt/archives/new_1_all.deb")


def test_no_daemon_starts_through_the_stand_ins(fake_root, element):
    fake_root.like("debian-12")
    dpkg = element("dpkg")
    assert dpkg.run_with("stand-ins/policy-rc.d", "ssh", "start", side="target").exit_code == 101
    run = dpkg.run_with("stand-ins/does-nothing", "--start", side="target")
    assert (run.exit_code, "not started" in run.output) == (0, True)


def test_the_fingerprint_is_the_state_of_the_archives(element, fingerprint_is_of_the_archives):
    fingerprint_is_of_the_archives(element("dpkg"))


DRACUT = """\
#!/bin/bash
# Acts dracut-install: copies the modules whose text names no other, and notes the call.
echo called >> /calls
while [ $# -gt 0 ]; do
    case "$1" in -D) to=$2 ;; --kerneldir) from=$2 ;; esac
    shift
done
for module in "$from"/*.ko; do
    if ! grep -q unwanted "$module" && [ ! -e "$to$module" ]; then
        mkdir -p "$to${module%/*}"
        cp --preserve=mode,timestamps "$module" "$to$module"
    fi
done
[ ! -e /complains ] || echo "something is missing"
"""
DRACUT_ARGUMENTS = ("/usr/lib/dracut/dracut-install", "-D", "/initramfs", "--kerneldir", "/lib/modules/6",
                    "--firmwaredirs", "/lib/firmware", "-o", "-m", "=drivers")


@pytest.fixture
def drivers(dpkg, fake_root):
    """Has the drivers of an empty initramfs found; gives how often dracut-install itself ran, and the outcome."""
    fake_root.write("/usr/lib/dracut/dracut-install", DRACUT, mode=0o755)
    fake_root.write("/lib/modules/6/wanted.ko", "a driver")
    fake_root.write("/lib/modules/6/other.ko", "unwanted")
    fake_root.mkdir("/var/cache/dib-initramfs/new")
    fake_root.mkdir("/quickly")

    def ask():
        fake_root.write("/calls", "")
        shutil.rmtree(fake_root.path("/initramfs"), ignore_errors=True)
        fake_root.mkdir("/initramfs")
        for path in fake_root.tree("/quickly"):
            fake_root.remove(path)
        run = dpkg.run_with("initramfs/remember", *DRACUT_ARGUMENTS, side="target", env={"QUICKLY_SCRATCH": "/quickly"})
        assert run.ok, run.output
        return fake_root.read("/calls").count("called"), fake_root.tree("/initramfs")

    return ask


def test_drivers_for_an_initramfs_are_found_out_once(drivers, fake_root):
    first = drivers()
    assert first[0] == 1 and "/initramfs/lib/modules/6/wanted.ko" in first[1]
    assert drivers() == (0, first[1])
    fake_root.write("/etc/hostname", "another")
    assert drivers() == (0, first[1]), "what has nothing to do with it"


@pytest.mark.parametrize("changed", [
    {"/lib/modules/6/wanted.ko": "unwanted"}, {"/lib/modules/6/new.ko": "one more"},
    {"/etc/modprobe.d/x.conf": "blacklist wanted"}, {"/lib/firmware/wanted.bin": ""},
    {"/usr/lib/dracut/dracut-install": DRACUT + "# another version\n"}])
def test_drivers_are_found_out_again_when_what_they_depend_on_changes(drivers, fake_root, changed):
    drivers()
    for path, text in changed.items():
        fake_root.write(path, text, mode=0o755 if "dracut" in path else 0o644)
    again = drivers()
    assert again[0] == 1
    assert ("/initramfs/lib/modules/6/wanted.ko" in again[1]) == ("unwanted" not in changed.values())
    assert drivers() == (0, again[1])


def test_drivers_that_something_was_said_about_are_not_noted(drivers, fake_root):
    fake_root.write("/complains", "")
    assert [drivers()[0], drivers()[0]] == [1, 1]


def test_failing_dracut_install_fails(drivers, dpkg, fake_root):
    drivers()
    fake_root.write("/usr/lib/dracut/dracut-install", "#!/bin/sh\nexit 5\n", mode=0o755)
    run = dpkg.run_with("initramfs/remember", *DRACUT_ARGUMENTS, side="target", env={"QUICKLY_SCRATCH": "/quickly"})
    assert run.exit_code == 5


def test_notes_about_drivers_are_kept_on_the_build_host(dpkg, fake_root, cache):
    kept = cache.parent.parent / "initramfs"
    run = dpkg.run("root.d/50-defer-initramfs")
    assert run.called("mount", "--bind", str(kept)) and run.called("mount", "-o", "remount,bind,ro")
    for name in ("whole/after", "half/files"):
        fake_root.write(f"/var/cache/dib-initramfs/new/{name}", "")
    assert dpkg.run("post-root.d/90-keep-for-later-builds").ok
    assert [path.name for path in kept.iterdir()] == ["whole"]
    assert not fake_root.exists("/var/cache/dib-initramfs")
    assert not dpkg.run("post-root.d/90-keep-for-later-builds").called("umount")


DEPMOD = """\
#!/bin/bash
# Acts depmod: notes the call, and writes of the modules' texts.
echo called >> /calls
folder=/lib/modules/${!#}
cat "$folder"/*.ko > "$folder/modules.dep"
"""


@pytest.fixture
def depmod(dpkg, fake_root):
    """Has depmod run for a kernel that was just unpacked; gives how often depmod itself ran, and what it made."""
    fake_root.write("/sbin/depmod", DEPMOD, mode=0o755)
    fake_root.write("/usr/bin/true", "#!/bin/sh\n", mode=0o755)
    fake_root.mkdir("/var/cache/dib-initramfs/new")
    assert dpkg.run("root.d/50-defer-initramfs").ok

    def install(*arguments: str, module: str = "a driver", changed: float = 1e9, of_package: bool = True):
        fake_root.write("/calls", "")
        shutil.rmtree(fake_root.path("/lib/modules"), ignore_errors=True)
        fake_root.write("/lib/modules/6/a.ko", module)
        os.utime(fake_root.path("/lib/modules/6/a.ko"), (changed, changed))
        digest = hashlib.md5(module.encode(), usedforsecurity=False).hexdigest()
        fake_root.write("/var/lib/dpkg/info/linux-image-6.md5sums",
                        f"{digest}  {'usr/' * of_package}lib/modules/{'6' if of_package else '5'}/a.ko\n")
        run = dpkg.run_with("stand-ins/depmod", *arguments, "6", side="target")
        assert run.ok, run.output
        return fake_root.read("/calls").count("called"), fake_root.read("/lib/modules/6/modules.dep")

    return install


def test_what_depmod_makes_of_a_kernel_is_remembered(depmod):
    assert depmod() == (1, "a driver")
    assert depmod() == (0, "a driver")
    assert depmod("-a") == (1, "a driver"), "asked otherwise"
    assert depmod(module="b driver") == (1, "b driver"), "another package, as long and as old"
    assert depmod(module="b driver") == (0, "b driver")
    assert depmod(module="b driver", changed=2e9) == (1, "b driver"), "changed since"
    assert depmod(module="c driver", of_package=False) == (1, "c driver")
    assert depmod(module="d driver", of_package=False) == (1, "d driver"), "as long and as old, but of no package"
    assert depmod(module="d driver", of_package=False) == (0, "d driver")


def test_what_depmod_makes_of_an_initramfs_is_remembered(dpkg, fake_root):
    fake_root.write("/sbin/depmod", DEPMOD.replace("/lib/modules/", "$2/lib/modules/"), mode=0o755)
    fake_root.mkdir("/var/cache/dib-initramfs/new")
    fake_root.mkdir("/quickly")

    def made(text: str) -> tuple[int, str]:
        fake_root.write("/calls", "")
        for folder in ("/initramfs", "/quickly"):
            shutil.rmtree(fake_root.path(folder), ignore_errors=True)
            fake_root.mkdir(folder)
        fake_root.write("/initramfs/lib/modules/6/a.ko", text)
        run = dpkg.run_with("initramfs/remember", "depmod", "-b", "/initramfs", "6", side="target",
                            env={"QUICKLY_SCRATCH": "/quickly"})
        assert run.ok, run.output
        return fake_root.read("/calls").count("called"), fake_root.read("/initramfs/lib/modules/6/modules.dep")

    assert [made("a driver"), made("a driver"), made("b driver")] == [(1, "a driver"), (0, "a driver"), (1, "b driver")]


@pytest.mark.parametrize("options", [["-F", "/boot/System.map-6"], ["-n"]])
def test_depmod_with_other_options_is_depmod(depmod, options):
    assert [depmod(*options)[0], depmod(*options)[0]] == [1, 1]


def test_scripts_of_packages_find_the_stand_in_first(dpkg, fake_root):
    assert dpkg.run("root.d/50-defer-initramfs").ok
    settings = fake_root.read("/etc/apt/apt.conf.d/60dib-initramfs")
    first = settings.split('"')[1].split(":")[0]
    assert settings.startswith("DPkg::Path ") and fake_root.exists(f"{first}/depmod")
    assert dpkg.run("post-root.d/90-keep-for-later-builds").ok
    assert dpkg.run("finalise.d/40-initramfs").ok
    assert not fake_root.exists(first) and not fake_root.exists("/etc/apt/apt.conf.d/60dib-initramfs")


RELEASE = "archive_dists_stable_InRelease"
LIST = "archive_dists_stable_main_binary-amd64_Packages"


@pytest.fixture
def lists(dpkg, fake_root):
    """Has a root of one source, its lists kept by an earlier build; gives what another root of that source is lent."""
    cache = fake_root.base / "cache/apt-lists"
    cache.mkdir(parents=True)
    fake_root.write("/etc/apt/sources.list.d/0000main.list", "deb [signed-by=/k] archive stable main\n")
    text = "Package: bash\n"
    sum_of_list = hashlib.sha256(text.encode()).hexdigest()
    fake_root.write(f"/var/lib/apt/lists/{RELEASE}", f"SHA256:\n {sum_of_list} 14 main/binary-amd64/Packages\n")
    fake_root.write(f"/var/lib/apt/lists/{LIST}", text)
    fake_root.write("/var/lib/apt/lists/lock", "")
    run = dpkg.run_with("apt-lists/keep", str(fake_root.directory), str(cache), side="host")
    assert run.ok, run.output
    [known] = cache.iterdir()
    for path in (RELEASE, LIST, "lock"):
        fake_root.remove(f"/var/lib/apt/lists/{path}")

    def lend(known=known):
        run = dpkg.run_with("apt-lists/lend", str(fake_root.directory), str(cache), side="host")
        assert run.ok, run.output
        return sorted(path.name for path in fake_root.path("/var/lib/apt/lists").iterdir() if path.is_file())

    lend.known = known
    return lend


def test_package_lists_are_kept_for_the_next_bootstrap(lists):
    assert sorted(path.name for path in lists.known.iterdir()) == [RELEASE, LIST]
    assert lists() == [RELEASE, LIST]


def test_a_damaged_package_list_is_not_lent(lists):
    (lists.known / LIST).write_text("Package: rash\n")
    assert lists() == []


def test_package_lists_of_other_sources_are_not_lent(lists, fake_root):
    fake_root.write("/etc/apt/sources.list.d/0000main.list", "deb [signed-by=/k] archive testing main\n")
    assert lists() == []


def test_package_lists_that_are_there_stay(lists, fake_root):
    fake_root.write(f"/var/lib/apt/lists/{RELEASE}", "newer")
    assert lists() == [RELEASE]


def test_newer_package_lists_replace_the_kept_ones(lists, dpkg, fake_root):
    def keep():
        run = dpkg.run_with("apt-lists/keep", str(fake_root.directory), str(lists.known.parent), side="host")
        assert run.ok, run.output
        return (lists.known / RELEASE).stat().st_ino

    lists()
    before = keep()
    assert keep() == before, "nothing new"
    fake_root.write(f"/var/lib/apt/lists/{RELEASE}", "newer")
    assert keep() != before
    assert (lists.known / RELEASE).read_text() == "newer"
