"""Programs of another architecture during the build."""

import pytest

PUT, TAKE = "extra-data.d/01-emulation-binary", "cleanup.d/01-emulation-binary"


@pytest.fixture
def path(tmp_path):
    """A PATH of the host with one more program."""

    def make(name):
        (tmp_path / name).write_text("emulates")
        (tmp_path / name).chmod(0o755)
        return f"{tmp_path}:/usr/sbin:/usr/bin"

    return make


@pytest.mark.parametrize(("arch", "host", "name"), [
    ("arm64", "x86_64", "qemu-aarch64-static"), ("amd64", "aarch64", "qemu-x86_64-static"),
    ("armhf", "x86_64", "qemu-arm-static"), ("ppc64el", "x86_64", "qemu-ppc64le-static"),
    ("i386", "aarch64", "qemu-i386-static"), ("s390x", "x86_64", "qemu-s390x-static"),
])
def test_the_emulator_is_there_during_the_build_only(fake_root, element, commands, path, arch, host, name):
    fake_root.like("debian-12")
    commands.on("uname", "-m").prints(host)
    under_test = element("architecture-emulation-binaries")
    put = under_test.run(PUT, env={"ARCH": arch, "PATH": path(name)})
    assert put.ok, put.output
    assert fake_root.mode(f"/usr/bin/{name}") == 0o755
    assert under_test.run(TAKE).ok
    assert not any("qemu" in path for path in fake_root.tree("/usr/bin"))


@pytest.mark.parametrize(("arch", "host"), [("amd64", "x86_64"), ("i386", "x86_64"), ("arm64", "aarch64")])
def test_nothing_is_needed_for_what_the_host_runs_itself(fake_root, element, commands, arch, host):
    fake_root.like("debian-12")
    commands.on("uname", "-m").prints(host)
    run = element("architecture-emulation-binaries").run(PUT, env={"ARCH": arch})
    assert run.ok and run.wrote == ()


def test_one_that_a_package_brought_stays(fake_root, element, commands, path):
    fake_root.like("debian-12").write("/usr/bin/qemu-aarch64-static", "theirs")
    commands.on("uname", "-m").prints("x86_64")
    under_test = element("architecture-emulation-binaries")
    assert under_test.run(PUT, env={"ARCH": "arm64", "PATH": path("qemu-aarch64-static")}).ok
    assert under_test.run(TAKE).ok
    assert fake_root.read("/usr/bin/qemu-aarch64-static") == "theirs"


@pytest.mark.parametrize(("arch", "told"), [("arm64", "apt-get install qemu-user-static"), ("m68k", "ARCH=m68k")])
def test_what_cannot_be_emulated_ends_the_build(fake_root, element, commands, arch, told):
    fake_root.like("debian-12")
    commands.on("uname", "-m").prints("x86_64")
    commands.missing("qemu-aarch64-static")
    run = element("architecture-emulation-binaries").run(PUT, env={"ARCH": arch})
    assert run.exit_code == 1 and told in run.output
