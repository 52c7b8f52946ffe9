"""An archive that changes: our debootstrap element's `fingerprint` asks a mirror, and the layers heed it."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.machine.layered import LayeredBuilder
from tests.ordinary_user import ROOT as CHECKOUT

pytestmark = pytest.mark.machine

HEAD = "#!/bin/bash\nset -eu -o pipefail\n"
ROOT = ["root.d/10-tiny-os", "root.d/50-bootstraps"]
TARGET = ["install.d/20-installs", "post-install.d/30-last"]
RELEASE = """-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Suite: stable
Date: {date}
SHA256:
 {main} {size} main/binary-amd64/Packages
 {other} {size} contrib/binary-amd64/Packages
 {other} {size} main/binary-arm64/Packages
-----BEGIN PGP SIGNATURE-----
"""


class Mirror:
    """A small mirror of one suite on this machine, with the package list that it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "dists/1"
        self.asked: list[str] = []
        note = {"log_message": lambda request, *_: self.asked.append(request.path)}
        handler = type("Handler", (SimpleHTTPRequestHandler,), note)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def serve(self, packages: str, *, date: str = "Mon, 01 Jan 2024", others: str = "") -> None:
        """Publish: the package list of main, that of everything else, and the Release file over both."""
        (self.folder / "main").mkdir(parents=True, exist_ok=True)
        (self.folder / "main/Packages").write_text(packages)
        (self.folder / "InRelease").write_text(RELEASE.format(
            date=date, main=_sum(packages), other=_sum(others), size=len(packages)))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    made = Mirror(tmp_path / "mirror")
    made.serve("Package: a\nVersion: 1\n")
    yield made
    made.close()


@pytest.fixture
def project(tmp_path: Path, fixtures: Path, mirror: Mirror) -> LayeredBuilder:
    """The programs of our element, and scripts that take the mirror's package list into the tree; built once."""
    made = LayeredBuilder(tmp_path, fixtures)
    for name in ("bootstrap", "fingerprint"):
        source, target = CHECKOUT / "elements/debootstrap" / name, made.elements / "first" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    made.script("first", "root.d/50-bootstraps", HEAD + 'curl --silent --fail --output "$TARGET_ROOT/etc/packages" '
                '"$DIB_DISTRIBUTION_MIRROR/dists/1/main/Packages"\n')
    made.script("second", "install.d/20-installs", HEAD + "cat /etc/packages >/etc/installed\n")
    made.script("second", "post-install.d/30-last", HEAD + "echo last >/etc/last\n")
    made.environment |= {"DIB_DISTRIBUTION_MIRROR": mirror.address, "DIB_ARCHIVE_STATE_MINUTES": "0", "ARCH": "amd64"}
    assert made.build() == [*ROOT, *TARGET]
    assert made.build() == []
    assert "/dists/1/InRelease" in mirror.asked
    return made


def test_a_changed_package_list_runs_everything(project: LayeredBuilder, mirror: Mirror) -> None:
    mirror.serve("Package: a\nVersion: 2\n", date="Tue, 02 Jan 2024")
    assert project.build() == [*ROOT, *TARGET]
    assert all("outside" in reason or "builds on" in reason or "fingerprint" in reason
               for reason in project.reasons.values()), project.reasons
    project.tree()
    assert (project.out / "tree/etc/installed").read_text() == "Package: a\nVersion: 2\n"
    assert project.build() == []


@pytest.mark.parametrize("change", [{"date": "Tue, 02 Jan 2024"}, {"others": "Package: of another component\n"}])
def test_a_new_release_file_over_the_same_package_list_runs_nothing(project: LayeredBuilder, mirror: Mirror,
                                                                     change: dict[str, str]) -> None:
    mirror.serve("Package: a\nVersion: 1\n", **change)
    assert project.build() == []


def test_an_older_state_of_the_archive_finds_its_layers_again(project: LayeredBuilder, mirror: Mirror) -> None:
    mirror.serve("Package: a\nVersion: 2\n")
    project.build()
    mirror.serve("Package: a\nVersion: 1\n")
    assert project.build() == []
    project.tree()
    assert (project.out / "tree/etc/installed").read_text() == "Package: a\nVersion: 1\n"


def test_an_archive_that_does_not_answer_is_told(project: LayeredBuilder, mirror: Mirror) -> None:
    """Layers that were made while it answered are not taken for its present state."""
    (mirror.folder / "InRelease").unlink()
    assert project.build() == [*ROOT, *TARGET]
    assert "the fingerprint of element first failed" in project.log
    assert "good for a day" in project.log
