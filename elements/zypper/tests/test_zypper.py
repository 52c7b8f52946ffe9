"""SUSE's packages during a build."""

import pytest

ZYPPER = "zypper --non-interactive --gpg-auto-import-keys"


@pytest.fixture
def target(fake_root, element):
    fake_root.like("opensuse-leap-15.6")
    return element("zypper", also=["pkg-map"])


@pytest.mark.parametrize(("words", "lines"), [
    (["a", "b c"], [f"{ZYPPER} install --no-recommends a b c"]), (["-u"], [f"{ZYPPER} dist-upgrade --no-recommends"]),
    (["-e", "a"], [f"{ZYPPER} remove --clean-deps a"]), ([], []),
])
def test_what_the_package_manager_is_told(target, words, lines):
    run = target.run_with("bin/install-packages", *words, side="target")
    assert run.ok and run.lines == lines


def test_names_are_translated(target, commands):
    commands.on("pkg-map").prints("one\ntwo")
    run = target.run_with("bin/install-packages", "-m", "app", "x", side="target")
    assert run.lines[-1] == f"{ZYPPER} install --no-recommends one two"


def test_wrong_options_are_told(target):
    assert "usage:" in target.run_with("bin/install-packages", "-q", side="target").output


def test_packages_are_kept_on_the_host(target, commands):
    commands.fake("mount")
    assert target.run("root.d/50-zypper-cache").called("mount", "--bind")
    assert target.run("pre-install.d/01-keep-packages").called("zypper", "modifyrepo", "--keep-packages")
    assert target.run("post-install.d/99-no-packages-kept").called("zypper", "modifyrepo", "--no-keep-packages")


def test_the_initramfs_knows_the_root_file_system(target, fake_root):
    assert target.run("post-install.d/10-initramfs").lines == []
    fake_root.write("/boot/vmlinuz-6", "")
    run = target.run("post-install.d/10-initramfs", env={"DIB_ROOT_FSTYPE": "xfs"})
    assert run.called("dracut", "--filesystems", "xfs")


def test_users_have_groups(target, fake_root):
    fake_root.write("/etc/login.defs", "# USERGROUPS_ENAB no\nUMASK 022\n")
    assert target.run("install.d/10-usergroups").ok
    assert fake_root.read("/etc/login.defs") == "UMASK 022\nUSERGROUPS_ENAB yes\n"
