"""Package versions of an earlier build."""

import json

import pytest


@pytest.fixture
def pinned(fake_root, element, tmp_path):
    fake_root.like("debian-12")

    def run(content, **env):
        (tmp_path / "manifest").write_text(content)
        env.setdefault("DIB_DPKG_MANIFEST", str(tmp_path / "manifest"))
        return element("apt-preferences").run("extra-data.d/99-override-apt-preferences", env=env)

    return run


def test_each_installed_package_gets_a_pin(pinned, fake_root):
    packages = [{"package": "bash", "arch": "amd64", "version": "5.2-1+b1", "status": "ii"},
                {"package": "libc6:amd64", "arch": "amd64", "version": "2.36-9", "status": "hi"},
                {"package": "old", "arch": "all", "version": "1", "status": "rc"}]
    run = pinned(json.dumps({"packages": packages}))
    assert run.ok, run.output
    assert fake_root.read("/etc/apt/preferences") == (
        "Package: bash\nPin: version 5.2-1+b1\nPin-Priority: 1001\n\n"
        "Package: libc6:amd64\nPin: version 2.36-9\nPin-Priority: 1001\n")
    assert fake_root.mode("/etc/apt/preferences") == 0o644


def test_without_a_manifest_nothing_happens(pinned, fake_root):
    assert pinned("", DIB_DPKG_MANIFEST="").ok
    assert not fake_root.exists("/etc/apt/preferences")


@pytest.mark.parametrize(("content", "told"), [
    ("", "not a file with something in it"), ("no JSON", "is not a manifest of dpkg"),
    ('{"packages": [1]}', "is not a manifest of dpkg"),
    ('{"packages": [{"package": "a\\nPin: x", "version": "1"}]}', "cannot be a package and its version"),
])
def test_a_wrong_manifest_ends_the_build(pinned, fake_root, content, told):
    run = pinned(content)
    assert run.exit_code == 1 and told in run.output
    assert "Traceback" not in run.output and not fake_root.exists("/etc/apt/preferences")
