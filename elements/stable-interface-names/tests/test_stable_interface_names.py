"""Names of network interfaces."""

import pytest

SCRIPT = "install.d/02-stable-interface-names"
RULES = "/etc/udev/rules.d/80-net-name-slot.rules"


@pytest.mark.parametrize("path", [RULES, "/etc/udev/rules.d/80-net-setup-link.rules",
                                  "/etc/systemd/network/99-default.link"])
def test_what_switches_them_off_is_gone(fake_root, element, path):
    fake_root.like("debian-12").symlink(path, "/dev/null")
    assert element("stable-interface-names").run(SCRIPT).ok
    assert not fake_root.exists(path)


def test_rules_of_somebodys_own_stay(fake_root, element):
    fake_root.like("debian-12").write(RULES, "# mine\n")
    assert element("stable-interface-names").run(SCRIPT).removed == ()
