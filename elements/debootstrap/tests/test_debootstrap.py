"""The bootstrap of a Debian-family system, its locale and its network."""

from __future__ import annotations

import io
import tarfile

import pytest

STABLE = {"DISTRO_NAME": "debian", "DIB_RELEASE": "bookworm", "DIB_DISTRIBUTION_MIRROR": "http://mirror.test/debian"}
LISTER = """\
#!/bin/bash
echo "default:deb http://mirror.test/debian $DIB_RELEASE main"
echo "   security:deb http://mirror.test/security $DIB_RELEASE-security main"
"""


@pytest.fixture
def bootstrap(fake_root, commands, element):
    """The element over an empty root; the bootstrap tools are recorded only."""
    debootstrap = element("debootstrap")
    commands.fake("unshare")
    (fake_root.base / "cache").mkdir(exist_ok=True)
    fake_root.mkdir("/etc/apt/sources.list.d")
    fake_root.mkdir("/var/lib/apt")
    commands.on("unshare", "mmdebstrap").does(
        'n=0; for word; do case "$word" in *.list) cp "$word" '
        f'{fake_root.path("/etc/apt/sources.list.d")}/"$(printf %04d "$n")${{word##*/}}"; n=$((n + 1)) ;; esac; done')
    return debootstrap


def tool_call(run) -> list[str]:
    return list(next(call.args for call in run.calls if call.name == "unshare"))


def test_mmdebstrap_gets_all_sources_and_all_packages_in_one_run(bootstrap, fake_root):
    lister = bootstrap.hooks / "bootstrap-sources/debian"
    lister.parent.mkdir()
    lister.write_text(LISTER)
    lister.chmod(0o755)
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE)
    assert run.ok, run.output
    words = tool_call(run)
    assert "mmdebstrap" in words
    assert {"--include=ca-certificates", "--variant=minbase", "--architectures=amd64"} <= set(words)
    assert words[-4] == "bookworm", "release, root, then the sources"
    assert fake_root.tree("/etc/apt/sources.list.d") == [
        "/etc/apt/sources.list.d/default.list", "/etc/apt/sources.list.d/security.list"]
    assert fake_root.read("/etc/apt/sources.list.d/security.list") == (
        "deb http://mirror.test/security bookworm-security main\n")
    assert fake_root.exists("/var/lib/apt/dib-lists-sum")


def test_a_mirror_that_cannot_be_reached_is_named_with_what_to_check(bootstrap, commands):
    lister = bootstrap.hooks / "bootstrap-sources/debian"
    lister.parent.mkdir()
    lister.write_text(LISTER)
    lister.chmod(0o755)
    commands.on("unshare", "mmdebstrap").exits(25)
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE)
    assert run.exit_code == 25
    told = run.output.splitlines()[-4:]
    assert told[0] == "debootstrap: debian bookworm could not be bootstrapped from:"
    assert told[1] == "deb http://mirror.test/debian bookworm main"
    assert "DIB_RELEASE and DIB_DISTRIBUTION_MIRROR" in told[-1]


def test_without_a_mirror_the_tools_own_is_used(bootstrap, fake_root):
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE | {"DIB_DISTRIBUTION_MIRROR": ""})
    assert run.ok, run.output
    assert not tool_call(run)[-1].endswith(".list")
    assert fake_root.tree("/etc/apt/sources.list.d") == []


def test_debootstrap_takes_the_mirror_of_the_release_itself(bootstrap, fake_root):
    lists = fake_root.base / "lists"
    lists.mkdir()
    (lists / "a.list").write_text("deb http://mirror.test/security bookworm-security main\n")
    (lists / "b.list").write_text("deb [arch=amd64 trusted=yes] http://mirror.test/debian bookworm main\n")
    run = bootstrap.run_with(
        "bootstrap/with-debootstrap", str(lists), env=STABLE | {"TARGET_ROOT": str(fake_root.path("/"))}, side="host")
    assert run.ok, run.output
    words = tool_call(run)
    assert words[-3] == "bookworm"
    assert words[-1] == "http://mirror.test/debian"
    assert {"debootstrap", "--variant=minbase", "--arch=amd64"} <= set(words)


def test_a_script_for_debootstrap_needs_a_mirror(bootstrap):
    env = STABLE | {"DIB_DISTRIBUTION_MIRROR": "", "DIB_DEBIAN_DEBOOTSTRAP_SCRIPT": "/s"}
    run = bootstrap.run("root.d/08-debootstrap", env=env)
    assert run.exit_code == 1
    assert "DIB_DISTRIBUTION_MIRROR" in run.output


def test_debootstraps_own_settings_choose_debootstrap(bootstrap):
    env = STABLE | {"DIB_DEBOOTSTRAP_EXTRA_ARGS": "--no-check-gpg --foo", "DIB_APT_KEYRING": "/k.gpg"}
    words = tool_call(bootstrap.run("root.d/08-debootstrap", env=env))
    assert {"debootstrap", "--no-check-gpg", "--foo", "--keyring=/k.gpg"} <= set(words)


def test_a_source_without_a_name_is_said(bootstrap):
    lister = bootstrap.hooks / "bootstrap-sources/debian"
    lister.parent.mkdir()
    lister.write_text("#!/bin/bash\necho 'deb http://mirror.test/debian stable main'\n")
    lister.chmod(0o755)
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE)
    assert run.exit_code == 1
    assert "NAME:APT LINE" in run.output


def test_a_failed_bootstrap_fails_the_build(bootstrap, commands):
    commands.on("unshare").exits(25)
    assert bootstrap.run("root.d/08-debootstrap", env=STABLE).exit_code == 25


def test_the_result_is_kept(bootstrap, fake_root):
    fake_root.write("/etc/marker", "kept\n")
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE | {"DIB_DEBOOTSTRAP_CACHE": "1"})
    assert run.ok, run.output
    with tarfile.open(fake_root.base / "cache/debootstrap-debian-bookworm-amd64.tar.gz") as kept:
        assert kept.extractfile("./etc/marker").read() == b"kept\n"
    assert [path.name for path in (fake_root.base / "cache").glob("debootstrap*")] == [
        "debootstrap-debian-bookworm-amd64.tar.gz"], "no half-written one beside it"


@pytest.mark.parametrize("variable", ["DIB_OFFLINE", "DIB_DEBIAN_USE_DEBOOTSTRAP_CACHE"])
def test_a_kept_result_is_used(bootstrap, fake_root, variable):
    with tarfile.open(fake_root.base / "cache/debootstrap-debian-bookworm-amd64.tar.gz", "w:gz") as kept:
        entry = tarfile.TarInfo("./etc/marker")
        entry.size = 5
        kept.addfile(entry, io.BytesIO(b"kept\n"))
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE | {variable: "1"})
    assert run.ok, run.output
    assert fake_root.read("/etc/marker") == "kept\n"
    assert not run.called("unshare")


def test_the_build_hosts_name_servers_are_forgotten(fake_root, element):
    fake_root.like("debian-12")
    (fake_root.base / "etc/resolv.conf").write_text("nameserver 192.0.2.99\n")
    fake_root.write("/etc/resolv.conf", "nameserver 192.0.2.99\n")
    debootstrap = element("debootstrap")
    assert debootstrap.run("root.d/99-forget-build-host").removed == ("/etc/resolv.conf",)
    fake_root.write("/etc/resolv.conf", "nameserver 192.0.2.1\n# mine\n")
    assert debootstrap.run("root.d/99-forget-build-host").removed == ()


def test_dev_is_empty_in_the_image(fake_root, element):
    """Only root may make devices, and builds of others shall come to the same image."""
    fake_root.like("debian-12")
    for name in ("/dev/console", "/dev/pts/0"):
        fake_root.write(name, "")
    assert element("debootstrap").run("root.d/99-forget-build-host").ok
    assert fake_root.tree("/dev") == []


def test_host_name_and_interfaces(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/etc/hostname", "buildhost\n", mode=0o755)
    run = element("debootstrap").run("install.d/10-debian-networking", env={"DIB_NETWORK_INTERFACE_NAMES": "ens1 ens2"})
    assert run.ok, run.output
    assert (fake_root.read("/etc/hostname"), fake_root.mode("/etc/hostname")) == ("debian\n", 0o644)
    assert fake_root.read("/etc/network/interfaces.d/ens2") == "auto ens2\niface ens2 inet dhcp\n"
    assert not fake_root.exists("/etc/network/interfaces.d/eth0")
    assert "127.0.1.1 debian" in fake_root.read("/etc/hosts").splitlines()


def test_interfaces_can_be_left_alone(fake_root, element):
    fake_root.like("debian-12")
    run = element("debootstrap").run(
        "install.d/10-debian-networking", env={"DIB_APT_MINIMAL_CREATE_INTERFACES": "0"})
    assert not any(path.startswith("/etc/network") for path in run.wrote)


@pytest.fixture
def networkd(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/usr/lib/systemd/systemd-networkd", "", mode=0o755)
    return element("debootstrap")


def test_networkd_takes_the_network_of_a_minimal_system(networkd, fake_root):
    run = networkd.run("finalise.d/30-network-by-networkd")
    assert run.ok, run.output
    assert "Name=eth0 eth1 en*" in fake_root.read("/etc/systemd/network/80-dhcp.network")
    assert run.lines == ["systemctl enable systemd-networkd.service"]


def test_networkd_brings_name_servers_where_resolved_is_installed(networkd, fake_root):
    fake_root.write("/usr/lib/systemd/systemd-resolved", "", mode=0o755)
    run = networkd.run("finalise.d/30-network-by-networkd")
    assert run.called("systemctl", "enable", "systemd-resolved.service")
    assert fake_root.link("/etc/resolv.conf") == "../run/systemd/resolve/stub-resolv.conf"


@pytest.mark.parametrize("other", ["/usr/sbin/ifup", "/usr/sbin/netplan", "/usr/sbin/NetworkManager"])
def test_the_network_is_left_to_who_has_it(networkd, fake_root, other):
    fake_root.write(other, "", mode=0o755)
    run = networkd.run("finalise.d/30-network-by-networkd")
    assert (run.ok, run.calls, run.wrote) == (True, (), ())


@pytest.mark.parametrize("other", ["/usr/bin/cloud-init", "/etc/systemd/network/10-mine.network"])
def test_networkd_serves_who_configures_it(networkd, fake_root, other):
    fake_root.write(other, "", mode=0o755)
    run = networkd.run("finalise.d/30-network-by-networkd")
    assert (run.lines, run.wrote) == (["systemctl enable systemd-networkd.service"], ())


@pytest.mark.parametrize(("env", "default", "generated"), [
    ({}, "C.UTF-8", ["en_US.UTF-8 UTF-8"]),
    ({"DIB_DEBOOTSTRAP_DEFAULT_LOCALE": "de_DE.UTF-8"}, "de_DE.UTF-8", ["en_US.UTF-8 UTF-8", "de_DE.UTF-8 UTF-8"]),
    ({"DIB_DEBOOTSTRAP_DEFAULT_LOCALE": "de_DE"}, "de_DE", ["en_US.UTF-8 UTF-8", "de_DE ISO-8859-1"]),
])
def test_locales(fake_root, element, env, default, generated):
    fake_root.like("debian-12")
    fake_root.write("/etc/locale.gen", "# en_US.UTF-8 UTF-8\n")
    debootstrap = element("debootstrap")
    for _ in range(2):
        run = debootstrap.run("install.d/12-debian-locale-gen", env=env)
        assert run.called("locale-gen"), run.output
    assert fake_root.read("/etc/locale.gen").splitlines() == ["# en_US.UTF-8 UTF-8", *generated]
    assert fake_root.read("/etc/default/locale") == f"LANG={default}\n"


@pytest.mark.parametrize(("env", "left"), [
    ({}, ["/var/lib/apt/lists/partial"]),
    ({"DIB_DISABLE_APT_CLEANUP": "1"}, ["/var/lib/apt/lists/a_Packages", "/var/lib/apt/lists/partial"]),
])
def test_package_lists_do_not_stay_in_the_image(fake_root, element, env, left):
    fake_root.like("debian-12")
    fake_root.write("/var/lib/apt/lists/a_Packages", "")
    assert element("debootstrap").run("cleanup.d/99-clean-up-cache", env=env).ok
    assert fake_root.tree("/var/lib/apt/lists") == left


@pytest.mark.parametrize(("may", "told"), [("exit 0", "could not be bootstrapped from"),
                                          ("exit 1", "apt-get install mmdebstrap")])
def test_debootstrap_without_the_right_to_make_devices(bootstrap, commands, may, told):
    commands.missing("mmdebstrap")
    commands.on("unshare", "debootstrap").exits(7)
    commands.on("mknod").does(may)
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE)
    assert run.exit_code == 7
    assert told in run.output


def test_keyring_and_further_arguments_reach_mmdebstrap(bootstrap):
    env = STABLE | {"DIB_APT_KEYRING": "/k.gpg", "DIB_MMDEBSTRAP_EXTRA_ARGS": "--aptopt=x --verbose"}
    run = bootstrap.run("root.d/08-debootstrap", env=env)
    assert run.ok, run.output
    assert {"--keyring=/k.gpg", "--aptopt=x"} <= set(tool_call(run))


def test_a_machine_without_a_bootstrap_tool_is_told_what_to_install(bootstrap, commands):
    commands.missing("mmdebstrap", "debootstrap")
    run = bootstrap.run("root.d/08-debootstrap", env=STABLE)
    assert run.exit_code == 1
    assert "apt-get install mmdebstrap" in run.output


RELEASE = """\
-----BEGIN PGP SIGNED MESSAGE-----
Suite: stable
MD5Sum:
 0123456789abcdef0123456789abcdef 9 main/binary-amd64/Packages
SHA256:
 {digest} 9 main/binary-amd64/Packages
 2222222222222222222222222222222222222222222222222222222222222222 9 main/binary-arm64/Packages
"""


@pytest.fixture
def archive(bootstrap, fake_root, commands):
    """An archive that says of itself what `serve` gives it, and the element's program that asks it."""
    lister = bootstrap.hooks / "bootstrap-sources/debian"
    lister.parent.mkdir()
    place = f"file://{fake_root.base}/cache/archive"
    lister.write_text(f'#!/bin/bash\necho "default:deb [trusted=yes] {place} $DIB_RELEASE main"\n')
    lister.chmod(0o755)
    commands.on("curl").does('for word; do [ "$before" != --output ] || file=$word; before=$word; done; '
                             'cp "${before#file://}" "$file"')
    return bootstrap


def ask(archive, digest: str, **env: str):
    """What `archive-state` prints while the archive's package list has that digest."""
    place = archive.root.base / "cache/archive/dists/bookworm"
    place.mkdir(parents=True, exist_ok=True)
    (place / "InRelease").write_text(RELEASE.format(digest=digest))
    return archive.run("bootstrap/archive-state", env={**STABLE, "ARCH": "amd64", **env})


ONE, TWO = "1" * 64, "3" * 64


def test_the_archive_s_state_is_the_digest_of_its_package_list(archive):
    run = ask(archive, ONE, DIB_ARCHIVE_STATE_MINUTES="0")
    assert run.ok, run
    assert f"archive bookworm main {ONE}" in run.output
    assert "2222" not in run.output
    assert TWO in ask(archive, TWO, DIB_ARCHIVE_STATE_MINUTES="0").output


def test_it_is_asked_again_after_a_while_only_and_never_offline(archive):
    assert ONE in ask(archive, ONE, DIB_ARCHIVE_STATE_MINUTES="0").output
    assert ONE in ask(archive, TWO).output
    assert ONE in ask(archive, TWO, DIB_ARCHIVE_STATE_MINUTES="0", DIB_OFFLINE="1").output


def test_the_fingerprint_is_the_state_of_the_archives(element, fingerprint_is_of_the_archives):
    fingerprint_is_of_the_archives(element("debootstrap"))
