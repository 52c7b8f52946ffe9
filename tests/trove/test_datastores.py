"""Which elements make a guest image, and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import paths
from pydib.element.resolve import resolve, with_defaults
from pydib.element.shelf import Shelf, find_elements
from pydib.errors import RecipeError
from pydib.trove.datastores import choose, offered
from pydib.trove.registration import Registered, commands
from pydib.trove.variables import environment_for, escaped


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Elements of a user beside ours."""
    for name in ("ubuntu-guest", "ubuntu-xenial-guest", "ubuntu-xenial-mysql", "ubuntu-mysql", "ubuntu-trusty-couchdb",
                 "fedora-guest", "fedora-mysql", "selinux-permissive", "guest-agent"):
        (tmp_path / name).mkdir()
    return find_elements([tmp_path])


def test_wrappers_of_the_release_come_first(shelf: Shelf) -> None:
    guest = choose(shelf, datastore="mysql", distro="ubuntu", release="xenial")
    assert guest.elements == ("ubuntu", "vm", "cloud-init-datasources", "apt-conf-dir", "ubuntu-xenial-guest",
                              "ubuntu-xenial-mysql")


def test_without_a_wrapper_the_general_element_is_taken(shelf: Shelf) -> None:
    assert choose(shelf, datastore="mysql", distro="ubuntu", release="noble").elements[-2:] == (
        "ubuntu-guest", "ubuntu-mysql")


def test_fedora_gets_selinux_permissive_and_no_apt(shelf: Shelf) -> None:
    assert choose(shelf, datastore="mysql", distro="fedora", release="41").elements == (
        "fedora", "selinux-permissive", "vm", "cloud-init-datasources", "fedora-guest", "fedora-mysql")


def test_a_container_takes_the_place_of_the_databases_element(shelf: Shelf) -> None:
    guest = choose(shelf, datastore="postgresql", distro="ubuntu", contained=True)
    assert guest.elements[-2:] == ("ubuntu-guest", "guest-containers")
    assert guest.contained and guest.has_manager
    with pytest.raises(RecipeError, match="no manager that runs 'redis' in a container") as caught:
        choose(shelf, datastore="redis", distro="ubuntu", contained=True)
    assert "use one of mysql, mariadb, postgresql" in str(caught.value)


def test_what_there_is_is_listed(shelf: Shelf) -> None:
    assert dict(offered(shelf)) == {"mysql": ("fedora", "ubuntu"), "couchdb": ("ubuntu",)}


@pytest.mark.parametrize(("wanted", "problem"), [
    ({"datastore": "redis", "distro": "ubuntu"}, "use one of mysql, couchdb, or put ubuntu-redis on ELEMENTS_PATH"),
    ({"datastore": "mysql", "distro": "slackware"}, "use one of fedora, ubuntu, or put slackware-guest"),
    ({"datastore": "couchdb", "distro": "ubuntu", "release": "noble"}, "couchdb is there for the releases trusty"),
])
def test_what_there_is_not_is_said_with_what_there_is(shelf: Shelf, wanted: dict[str, str], problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        choose(shelf, **wanted)
    assert problem in str(caught.value)


def test_our_own_elements_are_offered() -> None:
    there = dict(offered(find_elements([paths.elements_dir()])))
    assert all("debian" in there[name] for name in ("redis", "postgresql", "mysql"))


SEED = [("fedora", name) for name in ("mongodb", "mysql", "percona", "postgresql", "redis")] + [
    ("ubuntu", name) for name in ("cassandra", "couchbase", "mongodb", "mysql", "percona", "postgresql", "redis")]


@pytest.mark.parametrize(("distro", "datastore"), SEED)
def test_every_pair_of_trove_resolves(distro: str, datastore: str) -> None:
    shelf = find_elements([paths.elements_dir()])
    guest = choose(shelf, datastore=datastore, distro=distro)
    names = resolve(with_defaults(guest.elements, arch="amd64", base=True), shelf).names
    assert {f"{distro}-guest", f"{distro}-{datastore}", "guest-agent", "cloud-init-datasources", "vm"} <= set(names)
    assert guest.has_manager == (distro == "ubuntu" and datastore in ("redis", "postgresql", "mysql"))


WANTED = {"datastore": "redis", "distro": "debian", "release": "bookworm"}


def test_options_win_over_the_environment_over_defaults() -> None:
    made = environment_for({"GUEST_USERNAME": "given"}, {"GUEST_USERNAME": "x", "GUEST_LOGDIR": "/l/", "HOME": "/h"},
                           agent="build", **WANTED)
    assert (made["GUEST_USERNAME"], made["GUEST_LOGDIR"], made["HOME"]) == ("given", "/l/", "/h")
    assert made["DIB_CLOUD_INIT_DATASOURCES"] == "ConfigDrive"
    assert made["ESCAPED_GUEST_LOGDIR"] == r"\/l\/"
    assert (made["SERVICE_TYPE"], made["DISTRO"], made["RELEASE"], made["DIB_RELEASE"], made["TROVE_AGENT"]) == (
        "redis", "debian", "bookworm", "bookworm", "build")


def test_all_that_is_missing_is_in_one_message() -> None:
    with pytest.raises(RecipeError) as caught:
        environment_for({}, {"CONTROLLER_IP": "10.0.0.1"}, agent="sync", **WANTED)
    text = str(caught.value)
    for name in ("--scp-user (HOST_SCP_USERNAME)", "--trove-path (PATH_TROVE)", "--ssh-dir (SSH_DIR)"):
        assert name in text
    assert "CONTROLLER_IP" not in text


def test_a_key_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    env = {"CONTROLLER_IP": "1", "HOST_SCP_USERNAME": "u", "PATH_TROVE": "/t", "SSH_DIR": str(tmp_path)}
    with pytest.raises(RecipeError, match="there is no id_rsa in") as caught:
        environment_for({}, env, agent="sync", **WANTED)
    assert "ssh-keygen" in str(caught.value)
    for name in ("id_rsa", "id_rsa.pub"):
        (tmp_path / name).touch()
    assert environment_for({}, env, agent="sync", **WANTED)["ESCAPED_PATH_TROVE"] == r"\/t"


def test_nothing_of_a_path_means_anything_to_sed() -> None:
    assert escaped(r"/a&b\c") == r"\/a\&b\\c"


def test_the_commands_at_the_end_are_filled_in() -> None:
    upload, register = commands(Registered(image=Path("/i/my redis.qcow2"), has_manager=True, **WANTED))
    assert "--file '/i/my redis.qcow2'" in upload and "--tag trove --tag redis" in upload
    assert register.startswith("openstack datastore version create 7.0 redis redis '' --registry-ext "
                               "redis:packaged_datastores.redis.Manager")
    classic = commands(Registered(image=Path("/i/my redis.qcow2"), has_manager=True, is_classic=True, **WANTED))
    assert classic[0] == upload
    assert classic[1:] == (
        "trove-manage datastore_update redis ''",
        "trove-manage datastore_version_update redis 7.0 redis "
        "\"$(openstack image show -f value -c id 'my redis')\" '' 1",
        "trove-manage datastore_update redis 7.0")
    old = commands(Registered(image=Path("m.qcow2"), datastore="mysql", distro="ubuntu", release="xenial",
                              has_manager=False))[1]
    assert "create 5.7 mysql mysql" in old and "--registry-ext" not in old
