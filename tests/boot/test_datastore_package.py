"""datastore-package for real: a .deb that a builder has, installed by Debian's own tools with what it depends on."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.boot.conftest import pydib

CONTROL = """\
Package: toy-database
Version: 1.0
Architecture: {arch}
Maintainer: Nobody <nobody@example.test>
Depends: hostname
Description: a database for children
"""


def toy(place: Path, arch: str) -> Path:
    """A package with one file, and a script that writes another when it is installed."""
    tree = place / f"toy-{arch}"
    for name, mode, text in (("DEBIAN/control", 0o644, CONTROL.format(arch=arch)),
                             ("DEBIAN/postinst", 0o755, "#!/bin/sh -e\nhostname --version >/etc/toy-database.conf\n"),
                             ("usr/bin/toy-database", 0o755, "#!/bin/sh\necho 42\n")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(mode)
    package = place / f"toy database {arch}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, package], check=True, capture_output=True)
    return package


@pytest.mark.proves("datastore-package", how="real run")
def test_a_package_of_one_s_own_is_installed_for_real(tmp_path: Path) -> None:
    line = ("build", "-t", "tar", "-o", tmp_path / "image", "debian-minimal", "datastore-package")
    env = {"DIB_RELEASE": "bookworm", "DATASTORE_PKG_LOCATION": str(toy(tmp_path, "amd64"))}
    pydib(*line, **env)
    with tarfile.open(tmp_path / "image.tar") as image:
        assert image.getmember("./usr/bin/toy-database").mode == 0o755
        written = image.extractfile("./etc/toy-database.conf")
        assert written is not None and written.read().startswith(b"hostname ")
        status = image.extractfile("./var/lib/dpkg/status")
        assert status is not None and b"Package: toy-database\nStatus: install ok installed\n" in status.read()
    (tmp_path / "image.tar").unlink()
    refused = pydib(*line, check=False, **{**env, "DATASTORE_PKG_LOCATION": str(toy(tmp_path, "s390x"))})
    assert refused.returncode == 1 and not (tmp_path / "image.tar").exists()
    assert "toy_database_s390x.deb is for the architecture s390x, but the image is for amd64" in (
        refused.stdout + refused.stderr)
