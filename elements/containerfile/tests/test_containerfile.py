"""The operating system, from a container."""

import subprocess

import pytest

SCRIPT = "root.d/08-containerfile"


@pytest.fixture
def build(fake_root, element, commands, tmp_path):
    fake_root.mkdir("/")
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/hostname").write_text("container\n")
    subprocess.run(["tar", "-C", tmp_path / "tree", "-cf", tmp_path / "tree.tar", "."], check=True)
    for runtime in ("podman", "docker"):
        commands.on(runtime, "build").does('while [ "$1" != --iidfile ]; do shift; done; echo sha256:1 >"$2"')
        commands.on(runtime, "create").prints("c0ffee")
        commands.on(runtime, "export").does(f'cat "{tmp_path}/tree.tar"')
    under_test = element("containerfile")
    file = tmp_path / "Containerfile"
    file.write_text("FROM x\n")

    def run(**env):
        return under_test.run(SCRIPT, env={"DIB_CONTAINERFILE_DOCKERFILE": str(file), "DIB_IMAGE_CACHE": str(tmp_path),
                                           **env})

    run.hooks = under_test.hooks
    return run


@pytest.mark.parametrize("env", [{}, {"DIB_CONTAINERFILE_RUNTIME": "docker", "DIB_CONTAINERFILE_RUNTIME_ROOT": "1"}])
def test_the_containers_root_is_the_images(build, fake_root, env):
    runtime = env.get("DIB_CONTAINERFILE_RUNTIME", "podman")
    run = build(DIB_CONTAINERFILE_BUILDOPTS="--build-arg A=1", DIB_CONTAINERFILE_NETWORK_DRIVER="bridge", **env)
    assert run.ok, run.output
    assert fake_root.read("/etc/hostname") == "container\n"
    assert run.called(runtime, "build", "--network", "bridge", "--build-arg", "A=1")
    assert run.called(runtime, "create", "sha256:1") and run.called(runtime, "rm", "--force", "c0ffee")


def test_one_of_an_element_by_release(build):
    folder = build.hooks / "containerfiles"
    folder.mkdir()
    (folder / "41").write_text("FROM x\n")
    assert build(DIB_CONTAINERFILE_DOCKERFILE="", DIB_RELEASE="41").ok
    run = build(DIB_CONTAINERFILE_DOCKERFILE="", DIB_RELEASE="40")
    assert run.exit_code == 1 and "to one of: 41" in run.output


def test_a_failed_export_leaves_no_container(build, commands):
    commands.on("podman", "export").exits(3)
    run = build()
    assert not run.ok and run.called("podman", "rm")


def test_the_runtime_must_be_there(build, commands):
    commands.missing("podman")
    assert "apt-get install podman" in build().output
