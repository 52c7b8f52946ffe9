"""glean in the place of cloud-init."""

import pytest

VENV = 'mkdir -p "$3/bin"; printf "#!/bin/sh\\necho \\"\\$@\\"\\n" >"$3/bin/python3"; chmod 755 "$3/bin/python3"'


@pytest.mark.parametrize(("kind", "told"), [("source", "-m pip install glean"), ("repo", "git+http://g.test/glean@main")])
def test_it_is_installed_into_an_environment_of_its_own(fake_root, element, commands, kind, told):
    fake_root.like("debian-12")
    commands.on("python3", "-m", "venv").does(VENV)
    env = {"DIB_REPOLOCATION_glean": "http://g.test/glean", "DIB_REPOREF_glean": "main"}
    run = element("simple-init").run(f"install.d/simple-init-{kind}-install/10-glean", env=env)
    assert run.ok and told in run.output


@pytest.mark.parametrize(("root", "env", "options"), [
    ("debian-12", {}, ""), ("fedora-41", {}, "--use-nm"),
    ("debian-12", {"DIB_SIMPLE_INIT_NETWORKMANAGER": "1", "DIB_SIMPLE_INIT_NO_DHCP_FALLBACK": "1"},
     "--use-nm --no-dhcp-fallback"),
])
def test_it_is_started_as_interfaces_appear(fake_root, element, root, env, options):
    fake_root.like(root)
    fake_root.write("/usr/glean/bin/glean-install", '#!/bin/sh\necho "glean-install $@"\n', mode=0o755)
    under_test = element("simple-init")
    for _ in range(2):
        run = under_test.run("install.d/50-simple-init", env=env)
        assert run.ok and run.output.strip().endswith(f"glean-install {options}".strip())
    assert fake_root.read("/etc/modules").count("8021q") == 1


def test_one_of_another_element(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("glean-install")
    assert element("simple-init").run("install.d/50-simple-init").called("glean-install")


def test_without_glean_it_is_told(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.missing("glean-install")
    assert "glean is not installed" in element("simple-init").run("install.d/50-simple-init").output


def test_interfaces_are_gleans(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/etc/network/interfaces.d/eth0", "")
    assert element("simple-init").run("install.d/60-simple-init-remove-interfaces").ok
    assert not fake_root.exists("/etc/network/interfaces.d/eth0")
    assert fake_root.read("/etc/network/interfaces").startswith("auto lo\n")
