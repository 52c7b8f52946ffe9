"""Roots of RPM and SUSE packages, made by the host's dnf and zypper from a small repository on the loopback address."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydib import paths
from pydib.host.command import find_tool
from tests.served import served

pytestmark = pytest.mark.machine

SHELL = ("bash", "coreutils", "basesystem", "filesystem", "dnf", "systemd", "passwd", "sudo", "glibc-minimal-langpack",
         "zypper", "python3", "patterns-base-minimal_base", "vim-minimal")
RPM = """\
#!/bin/sh
# the one question that the element asks
if [ "$1" = --eval ]; then echo /usr/lib/sysimage/rpm; fi
"""


def spec() -> str:
    """A spec file: packages that stand for a distribution's; `rpm` is a script, `bash` the static busybox."""
    lines = ["Name: fedora-release", "Version: 41", "Release: 1", "Summary: x", "License: none", "BuildArch: noarch",
             "%define _build_id_links none", "%define _binaries_in_noarch_packages_terminate_build 0",
             "%define debug_package %{nil}", "%define __os_install_post %{nil}",
             "%description", "x"]
    for name in (*SHELL, "rpm"):
        lines += [f"%package -n {name}", "Summary: x", *(["Requires: rpm bash"] if name in ("dnf", "zypper") else []),
                  f"%description -n {name}", "x"]
    lines += ["%install", "mkdir -p %{buildroot}/usr/bin %{buildroot}/etc",
              "cp %{busybox} %{buildroot}/usr/bin/busybox", "ln -s busybox %{buildroot}/usr/bin/sh",
              "ln -s usr/bin %{buildroot}/bin", "cp %{rpmscript} %{buildroot}/usr/bin/rpm",
              "echo 'Fedora release 41' > %{buildroot}/etc/fedora-release",
              "%files", "/etc/fedora-release", "%files -n bash", "/usr/bin/busybox", "/usr/bin/sh", "/bin",
              "%files -n rpm", "%attr(0755,root,root) /usr/bin/rpm"]
    lines += [line for name in SHELL if name != "bash" for line in (f"%files -n {name}",)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a folder served on the loopback address, with the repository at every place that is asked for."""
    for tool in ("rpmbuild", "createrepo_c", "busybox"):
        assert find_tool(tool), f"{tool} is not installed; `make setup` brings it"
    place = tmp_path_factory.mktemp("repository")
    (place / "rpm.sh").write_text(RPM)
    (place / "all.spec").write_text(spec())
    packages = place / "packages"
    busybox = find_tool("busybox")
    macros = {"_topdir": place / "build", "_rpmdir": packages, "busybox": busybox, "rpmscript": place / "rpm.sh"}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    subprocess.run(["rpmbuild", "--quiet", "-bb", *defines, place / "all.spec"], check=True, capture_output=True)
    subprocess.run(["createrepo_c", "--quiet", packages], check=True)
    for path in ("releases/41/Everything/x86_64/os", "updates/41/Everything/x86_64", "distribution/leap/15.6/repo/oss",
                 "update/leap/15.6/oss"):
        (place / "served" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "served" / path).symlink_to(packages)
    with served(place / "served") as address:
        yield address


def run(tmp_path: Path, element: str, script: str, **env: str) -> Path:
    """Run a root.d script of `element` as a build does, for an empty target, which it gives."""
    target, hooks = tmp_path / "target", tmp_path / "hooks"
    target.mkdir()
    for name in (element, *(paths.elements_dir() / element / "element-deps").read_text().split()):
        shutil.copytree(paths.elements_dir() / name, hooks, dirs_exist_ok=True)
    variables = {**os.environ, "TARGET_ROOT": str(target), "TMP_HOOKS_PATH": str(hooks), "ARCH": "amd64",
                 "DIB_IMAGE_CACHE": str(tmp_path / "cache"), "PATH": f"{paths.tools_dir()}:{os.environ['PATH']}", **env}
    command = 'for file in "$1"/environment.d/*; do . "$file"; done; exec "$1/$2"'
    done = subprocess.run(["bash", "-euc", command, "bash", hooks, script], env=variables, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return target


@pytest.mark.proves("yum-minimal", "fedora-minimal", how="real run")
def test_dnf_makes_a_root(tmp_path: Path, repository: str) -> None:
    target = run(tmp_path, "fedora-minimal", "root.d/08-yum-minimal", DIB_RELEASE="41", DIB_YUM_MINIMAL_GPGCHECK="0",
                 DIB_DISTRIBUTION_MIRROR=repository, DIB_YUM_MINIMAL_BOOTSTRAP_PACKAGES="vim-minimal")
    assert (target / "etc/fedora-release").read_text() == "Fedora release 41\n"
    assert (target / "usr/lib/sysimage/rpm/rpmdb.sqlite").exists(), "where the image's own rpm looks for it"
    listed = subprocess.run(["rpm", "--dbpath", f"{target}/usr/lib/sysimage/rpm", "-qa", "--qf", "%{NAME}\n"],
                            capture_output=True, text=True, check=True).stdout.split()
    assert {"vim-minimal", "rpm", "systemd", "fedora-release"} <= set(listed)


@pytest.mark.proves("zypper-minimal", "opensuse-minimal", how="real run")
def test_zypper_makes_a_root(tmp_path: Path, repository: str) -> None:
    target = run(tmp_path, "opensuse-minimal", "root.d/08-zypper-minimal", DIB_RELEASE="15.6", DIB_ZYPPER_GPGCHECK="0",
                 DIB_DISTRIBUTION_MIRROR=repository)
    assert (target / "usr/bin/busybox").exists() and (target / "usr/bin/rpm").exists()
    repositories = (target / "etc/zypp/repos.d/oss.repo").read_text()
    assert f"{repository}/distribution/leap/15.6/repo/oss" in repositories
