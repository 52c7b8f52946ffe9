"""Names of packages, by distribution."""

import json

import pytest

MAP = {
    "release": {"debian": {"bookworm": {"a": "a-bookworm"}}, "centos": {"8": {"a": "a-8"}}},
    "distro": {"debian": {"a": "a-debian", "many": "x y", "list": ["x", "y"]}},
    "family": {"debian": {"a": "a-family", "b": "b-family", "none": None}, "redhat": {"a": "a-redhat"}},
    "default": {"a": "a-default", "empty": "", "d": "d-default"},
}


@pytest.fixture
def pkg_map(fake_root, element, commands):
    commands.real("pkg-map")
    fake_root.like("debian-12")
    fake_root.write("/usr/share/pkg-map/e", json.dumps(MAP))
    tool = element("pkg-map")

    def run(*arguments, **env):
        return tool.run_with("bin/pkg-map", *arguments, side="target", env=env)

    return run


def test_the_most_specific_name_counts(pkg_map):
    run = pkg_map("--element", "e", "a", "b", "none", "empty", "d", "many", "list")
    assert run.ok
    assert run.output == "a-bookworm\nb-family\nd-default\nx y\nx y\n"


@pytest.mark.parametrize(("distro", "release", "name"), [
    ("debian", "trixie", "a-debian"), ("ubuntu", "noble", "a-family"), ("fedora", "41", "a-redhat"),
    ("rocky", "9", "a-redhat"), ("centos", "8-stream", "a-8"), ("centos", "8", "a-8"),
    ("centos", "9-stream", "a-redhat"),
    ("opensuse", "15.6", "a-default"),
])
def test_each_distribution_has_its_name(pkg_map, distro, release, name):
    assert pkg_map("--element", "e", "--distro", distro, "--release", release, "a").output == name + "\n"


def test_an_unknown_name_fails_after_the_ones_before_it(pkg_map):
    run = pkg_map("--element", "e", "b", "unknown", "a")
    assert run.exit_code == 1
    assert run.output == "b-family\npkg-map: /usr/share/pkg-map/e has no entry for package unknown\n"


def test_an_unknown_name_passes_when_that_is_fine(pkg_map):
    assert pkg_map("--element", "e", "--missing-ok", "--prefix", "-", "unknown", "b").output == "-unknown\n-b-family\n"


@pytest.mark.contract("C-251")
def test_an_element_without_a_map(pkg_map):
    assert pkg_map("--element", "other", "a").exit_code == 2
    assert pkg_map("--element", "other", "--missing-ok", "a", DISTRO_NAME="").output == "a\n"


def test_options_that_nobody_knows_are_names_of_packages(pkg_map):
    assert pkg_map("--element", "e", "--missing-ok", "--what").output == "--what\n"


def test_a_broken_map_is_named(pkg_map, fake_root):
    fake_root.write("/usr/share/pkg-map/e", "{")
    run = pkg_map("--element", "e", "a")
    assert run.exit_code == 1
    assert run.output.startswith("pkg-map: /usr/share/pkg-map/e cannot be used: ")
    assert run.output.count("\n") == 1


@pytest.mark.contract("C-250")
def test_maps_of_all_elements_are_copied(fake_root, element):
    fake_root.like("debian-12")
    run = element("pkg-map", also=["openssh-server"]).run("extra-data.d/10-create-pkg-map-dir")
    assert run.ok, run.output
    assert fake_root.tree("/usr/share/pkg-map") == ["/usr/share/pkg-map/openssh-server",
                                                    "/usr/share/pkg-map/runtime-ssh-host-keys"]
    assert fake_root.mode("/usr/share/pkg-map") == 0o755
    assert "openssh" in fake_root.read("/usr/share/pkg-map/openssh-server")
