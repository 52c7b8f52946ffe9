"""The default element: baseline packages, updates, /etc/hosts."""

import pytest


def test_hosts_file_is_left_to_cloud_init(fake_root, element):
    fake_root.like("debian-12")
    run = element("base").run("install.d/10-cloud-init", env={"DIB_CLOUD_INIT_ETC_HOSTS": "localhost"})
    assert run.ok, run.output
    assert fake_root.read("/etc/cloud/cloud.cfg.d/10_etc_hosts.cfg") == "manage_etc_hosts: localhost\n"


@pytest.mark.parametrize("env", [{}, {"DIB_CLOUD_INIT_ETC_HOSTS": ""}])
def test_hosts_file_is_nobodys_without_the_variable(fake_root, element, env):
    fake_root.like("debian-12")
    assert element("base").run("install.d/10-cloud-init", env=env).wrote == ()


def test_packages_are_brought_up_to_date(fake_root, element):
    fake_root.like("debian-12")
    assert element("base").run("install.d/00-up-to-date").lines == ["install-packages -u"]


def test_updates_can_be_avoided(fake_root, element):
    fake_root.like("debian-12")
    assert element("base").run("install.d/00-up-to-date", env={"DIB_AVOID_PACKAGES_UPDATE": "1"}).lines == []


def test_add_apt_repository_is_there_before_other_scripts_need_it(fake_root, element):
    fake_root.like("debian-12")
    assert element("base").run("pre-install.d/03-baseline-tools").lines[1:] == [
        "apt-get -y update", "install-packages software-properties-common"]


def test_what_is_installed_is_not_installed_again(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.on("dpkg-query").prints("installed")
    assert not element("base").run("pre-install.d/03-baseline-tools").called("install-packages")


@pytest.mark.parametrize(("root", "env"), [("debian-12", {"DIB_RELEASE": "trixie"}), ("fedora-41", {})])
def test_distributions_without_that_package_get_nothing(fake_root, element, root, env):
    fake_root.like(root)
    run = element("base").run("pre-install.d/03-baseline-tools", env=env)
    assert run.ok and run.calls == ()


@pytest.mark.parametrize(("skip", "names"), [("0", "open-iscsi"), ("1", None)])
def test_baseline_packages_can_be_skipped(fake_root, element, skip, names):
    fake_root.like("debian-12").commands.real("pkg-map")
    under_test = element("base")
    for script in ("10-create-pkg-map-dir", "99-squash-package-install"):
        run = under_test.run(f"extra-data.d/{script}", env={"DIB_SKIP_BASE_PACKAGE_INSTALL": skip})
        assert run.ok, run.output
    run = under_test.run("install.d/01-package-installs")
    assert run.ok, run.output
    assert run.called("install-packages", "open-iscsi") is bool(names)


@pytest.mark.parametrize(("env", "packages"), [
    ({}, "software-properties-common open-iscsi"),
    ({"DIB_BOOTSTRAP_PACKAGES": "one"}, "one software-properties-common open-iscsi"),
    ({"DIB_RELEASE": "trixie"}, "open-iscsi"), ({"DIB_SKIP_BASE_PACKAGE_INSTALL": "1"}, "software-properties-common"),
    ({"DIB_RELEASE": "trixie", "DIB_SKIP_BASE_PACKAGE_INSTALL": "1"}, ""), ({"DISTRO_NAME": "ubuntu"}, ""),
])
def test_packages_may_come_with_the_bootstrap(fake_root, element, env, packages):
    fake_root.like("debian-12")
    under_test = element("base")
    script = under_test.hooks / "install.d/00-look"
    script.write_text('echo "${DIB_BOOTSTRAP_PACKAGES:-}"\n')
    script.chmod(0o755)
    assert under_test.run("install.d/00-look", env=env).output.strip() == packages


@pytest.mark.parametrize(("name", "left"), [
    ("iqn.1993-08.org.debian:01:a1b2c3", "GenerateName=yes\n"),
    ("iqn.2020-01.org.example:mine", "InitiatorName=iqn.2020-01.org.example:mine\n"),
])
def test_machines_make_up_their_own_initiator_name(fake_root, element, name, left):
    fake_root.like("debian-12")
    fake_root.write("/etc/iscsi/initiatorname.iscsi", f"InitiatorName={name}\n")
    fake_root.write("/lib/open-iscsi/startup-checks.sh", 'grep -q "^GenerateName=yes" $NAMEFILE\n')
    run = element("base").run("post-install.d/90-iscsi-initiator-name")
    assert run.ok, run.output
    assert fake_root.read("/etc/iscsi/initiatorname.iscsi") == left


def test_without_the_program_that_makes_one_up_the_name_stays(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:a\n")
    assert element("base").run("post-install.d/90-iscsi-initiator-name").wrote == ()
