"""RHEL's registration, for the time of the build."""

import pytest

REGISTER, UNREGISTER = "pre-install.d/00-rhel-registration", "finalise.d/60-unregister"


@pytest.fixture
def rhel(fake_root, element):
    fake_root.like("rocky-9")
    fake_root.env |= {"DISTRO_NAME": "rhel", "DIB_RELEASE": "9"}
    under_test = element("rhel-common")
    return lambda script, **env: under_test.run(script, env={"ARCH": "amd64", **env})


USER = {"REG_METHOD": "portal", "REG_USER": "me", "REG_PASSWORD": "a secret"}
KEY = {"REG_METHOD": "satellite", "REG_SAT_URL": "https://s.test/", "REG_ACTIVATION_KEY": "key", "REG_ORG": "7"}
DEFAULT_REPOS = "--enable=rhel-9-for-x86_64-baseos-rpms --enable=rhel-9-for-x86_64-appstream-rpms"


@pytest.mark.parametrize(("env", "lines"), [
    (USER, ["register --username me --password a secret", f"repos {DEFAULT_REPOS}"]),
    ({**USER, "REG_POOL_ID": "p1", "REG_REPOS": "a,b", "REG_FORCE": "1", "REG_RELEASE": "9.4"}, [
        "register --username me --password a secret --release 9.4 --force", "attach --pool p1",
        f"repos {DEFAULT_REPOS} --enable=a --enable=b"]),
    ({**USER, "REG_AUTO_ATTACH": "1", "REG_SERVICE_LEVEL": "Premium"}, [
        "register --username me --password a secret --auto-attach --servicelevel Premium", f"repos {DEFAULT_REPOS}"]),
    ({"DIB_RHSM_USER": "old", "DIB_RHSM_PASSWORD": "p", "DIB_RHSM_POOL": "x"}, [
        "register --username old --password p", "attach --pool x", f"repos {DEFAULT_REPOS}"]),
    ({**KEY, "ARCH": "arm64"}, ["register --activationkey key --org 7",
                                 f"repos {DEFAULT_REPOS.replace('x86_64', 'aarch64')}"]),
])
def test_what_subscription_manager_is_told(rhel, env, lines):
    run = rhel(REGISTER, **env)
    assert run.ok, run.output
    assert [line.removeprefix("subscription-manager ") for line in run.lines if line.startswith("sub")] == lines
    assert rhel(REGISTER, **{**env, "ARCH": "s390x"}).ok


def test_a_satellites_certificate_comes_first(rhel):
    assert rhel(REGISTER, **KEY).lines[0] == (
        "rpm --upgrade --force https://s.test/pub/katello-ca-consumer-latest.noarch.rpm")


def test_secrets_are_not_in_the_log(rhel):
    assert "a secret" not in rhel(REGISTER, DIB_DEBUG_TRACE="1", **USER).output


@pytest.mark.parametrize(("env", "told"), [
    ({"REG_METHOD": "portal"}, "set REG_USER and REG_PASSWORD"), ({"REG_METHOD": "satellite"}, "needs REG_SAT_URL"),
    ({"REG_METHOD": "portal", "REG_ACTIVATION_KEY": "k"}, "needs REG_ORG"), ({"REG_METHOD": "x"}, "it can be portal"),
    ({"DIB_REG_TYPE": "rhn"}, "RHN is no more"),
])
def test_mistakes(rhel, env, told):
    run = rhel(REGISTER, **env)
    assert run.exit_code == 1 and told in run.output and run.lines == []


@pytest.mark.parametrize("env", [{}, {"REG_METHOD": "disable"}])
def test_without_a_method_nothing_happens(rhel, env):
    assert rhel(REGISTER, **env).lines == [] and rhel(UNREGISTER, **env).lines == []


@pytest.mark.parametrize(("halt", "lines"), [("", ["subscription-manager unregister", "subscription-manager clean"]),
                                              ("1", [])])
def test_the_registration_is_given_back(rhel, halt, lines):
    assert rhel(UNREGISTER, REG_HALT_UNREGISTER=halt, **USER).lines == lines


@pytest.mark.parametrize("there", ["openstack-selinux-0:1", ""])
def test_openstacks_policy(rhel, commands, there):
    commands.on("dnf", "repoquery").prints(there)
    assert rhel("install.d/10-openstack-selinux-rhel").called("install-packages", "openstack-selinux") == bool(there)
