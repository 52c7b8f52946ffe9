"""The kernel that Ubuntu signs."""

import pytest

SCRIPT = "post-install.d/00-signed-kernel"


@pytest.mark.parametrize(("root", "package"), [("ubuntu-24.04", "linux-image-generic"),
                                                ("bionic", "linux-signed-image-generic")])
def test_the_newest_is_noted(fake_root, element, root, package):
    fake_root.like("ubuntu-24.04")
    for version in ("6.8.0-9-generic", "6.8.0-31-generic", "6.8.0-31-generic.efi.signed"):
        fake_root.write(f"/boot/vmlinuz-{version}", "")
    env = {"DIB_RELEASE": root} if root == "bionic" else {}
    run = element("ubuntu-signed").run(SCRIPT, env=env)
    assert run.ok, run.output
    assert run.called("install-packages", package)
    assert fake_root.read("/dib-signed-kernel-version") == "export DIB_SIGNED_KERNEL_VERSION=6.8.0-31-generic\n"


def test_no_kernel_is_an_error(fake_root, element):
    fake_root.like("ubuntu-24.04")
    run = element("ubuntu-signed").run(SCRIPT)
    assert run.exit_code == 1 and "has brought no kernel" in run.output
