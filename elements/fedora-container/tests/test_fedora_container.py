"""Fedora from its container image."""


def test_its_containerfile_is_built(fake_root, element, commands):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    commands.on("podman", "build").does('while [ "$1" != --iidfile ]; do shift; done; echo 1 >"$2"; cat "$4"')
    commands.on("podman", "export").does("tar -cf - -T /dev/null")
    run = element("fedora-container").run("root.d/08-containerfile")
    assert run.ok and "FROM registry.fedoraproject.org/fedora:43" in run.output
