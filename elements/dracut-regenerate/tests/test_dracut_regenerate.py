"""An initramfs made anew by dracut."""

import pytest


@pytest.fixture
def build(fake_root, element, commands):
    fake_root.like("fedora-41")
    commands.on("select-boot-kernel-initrd").prints("vmlinuz-6.1:initramfs-6.1.img")
    under_test = element("dracut-regenerate", also=["disable-nouveau"])
    (under_test.hooks / "bin/select-boot-kernel-initrd").unlink()

    def run(**env):
        first = under_test.run("extra-data.d/50-dracut-conf", env=env)
        return under_test.run("finalise.d/50-dracut-regenerate", env=env) if first.ok else first

    return run


@pytest.mark.parametrize(("given", "packages", "modules"), [
    ("", [["cryptsetup"], ["lvm2"]], "crypt lvm"),
    ("[{name: network, packages: [dracut-network, iproute]}, {name: base}]", [["dracut-network", "iproute"]],
     "network base"),
])
def test_the_wanted_modules_are_in_it(build, fake_root, given, packages, modules):
    run = build(DIB_DRACUT_ENABLED_MODULES=given)
    assert run.ok, run.output
    assert [list(call.args) for call in run.calls if call.name == "install-packages"] == packages
    assert run.called("dracut", "--force", "--add", modules, "/boot/initramfs-6.1.img", "6.1")
    assert fake_root.exists("/etc/dracut.conf.d/disable-nouveau.conf")
    assert not fake_root.exists("/etc/dib-dracut-modules")


@pytest.mark.parametrize("given", ["lvm", "[1]", "[{x: 1}]", "[{name: 'a b; reboot'}]", "["])
def test_a_wrong_list_is_told(build, given):
    run = build(DIB_DRACUT_ENABLED_MODULES=given)
    assert run.exit_code == 1 and "is not a YAML list such as" in run.output and "Traceback" not in run.output
