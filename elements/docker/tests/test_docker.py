"""The operating system, a container image."""

import subprocess

import pytest

SCRIPT = "root.d/08-docker"


@pytest.fixture
def build(fake_root, element, commands, tmp_path):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/hello").write_text("hello\n")
    subprocess.run(["tar", "-C", tmp_path / "tree", "-cf", tmp_path / "tree.tar", "."], check=True)
    commands.on("docker", "create").prints("c0ffee")
    commands.on("docker", "export").does(f'cat "{tmp_path}/tree.tar"')
    return lambda **env: element("docker").run(SCRIPT, env=env)


@pytest.mark.parametrize(("env", "image", "pulled"), [
    ({"DISTRO_NAME": "debian", "DIB_RELEASE": "bookworm"}, "debian:bookworm", True),
    ({"DIB_DOCKER_IMAGE": "r.test/x:1", "DIB_OFFLINE": "1"}, "r.test/x:1", False)])
def test_its_root_is_the_images(build, fake_root, env, image, pulled):
    run = build(**env)
    assert run.ok, run.output
    assert fake_root.read("/hello") == "hello\n"
    assert run.called("docker", "create", image) and run.called("docker", "pull", image) == pulled
    assert run.called("docker", "rm", "--force", "c0ffee")


def test_it_must_be_said_which(build):
    assert "set DIB_DOCKER_IMAGE" in build().output


def test_docker_must_be_there(build, commands):
    commands.missing("docker")
    assert "apt-get install docker.io" in build(DIB_DOCKER_IMAGE="a:b").output
