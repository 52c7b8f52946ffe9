"""python3 -m venv."""

import pytest


@pytest.mark.parametrize(("root", "names"), [
    ("debian-12", ["python3-venv"]), ("ubuntu-24.04", ["python3-venv"]), ("fedora-41", ["python3", "python3-pip"]),
    ("opensuse-leap-15.6", ["python3"]), ("gentoo", []),
])
def test_the_package_of_each_distribution(fake_root, element, commands, root, names):
    commands.real("pkg-map")
    fake_root.like(root)
    under_test = element("ensure-venv")
    assert under_test.run("extra-data.d/10-create-pkg-map-dir").ok
    run = under_test.run_with("bin/pkg-map", "--element", "ensure-venv", "python3-venv", side="target")
    assert run.ok, run.output
    assert run.output.split() == names
