"""DIB's own elements, unmodified, from the oracle's folder: pydib builds them, and the images boot.

One build runs always, the others with `make test-boot-all`. `diskimage_builder` is not importable where
pydib runs: only its elements folder is used.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import oracle
from tests.boot.conftest import pydib

ALL = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
LOGIN_ELEMENTS = ("cloud-init-nocloud", "openssh-server", "devuser", "growroot")


def build(place: Path, *elements: str, **env: str) -> Path:
    """Build with DIB's elements in front of ours."""
    variables = {**os.environ, "ELEMENTS_PATH": str(oracle.elements_folder()), "DIB_RELEASE": "bookworm",
                 "DIB_DEV_USER_PASSWORD": "secret", "DIB_DEV_USER_PWDLESS_SUDO": "yes", **env}
    if mirror := oracle.security_mirror():
        variables["DIB_DEBIAN_SECURITY_MIRROR"] = mirror
    argv = [sys.executable, "-c", "from pydib.cli.drop_in import disk_image_create as d; d()", "-o",
            str(place / "real.qcow2"), "debian-minimal", "vm", *elements]
    done = subprocess.run(argv, env=variables, text=True, capture_output=True, check=False, errors="replace",
                          stdin=subprocess.DEVNULL, cwd=place)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert f"{oracle.elements_folder()}/" in pydib("resolve", "debian-minimal", **variables).stdout
    return place / "real.qcow2"


def test_dib_is_not_importable_here() -> None:
    assert importlib.util.find_spec("diskimage_builder") is None


@pytest.mark.contract("C-001")
@pytest.mark.parametrize("elements", [
    pytest.param((), id="plain", marks=ALL),
    pytest.param(("block-device-gpt", *LOGIN_ELEMENTS), id="gpt and login"),
    pytest.param(("dhcp-all-interfaces", "manifests", "source-repositories"), id="network and sources", marks=ALL),
    pytest.param(("pip-and-virtualenv",), id="pip", marks=ALL),
    pytest.param((*LOGIN_ELEMENTS, "element-manifest", "enable-serial-console"), id="login on mbr", marks=ALL),
])
def test_real_elements_build_and_boot(tmp_path: Path, elements: tuple[str, ...]) -> None:
    # pip's and virtualenv's packages, not their sources from the network; and DIB's dib-python, when it is not told
    # otherwise, still takes Debian for a system with Python 2 (C-271)
    image = build(tmp_path, *elements, DIB_INSTALLTYPE_pip_and_virtualenv="package", DIB_PYTHON_VERSION="3")
    assert "reached a login prompt" in pydib("boot", "--timeout", "420", image).stdout
