"""Images of RPM and SUSE packages, made by the host's dnf and zypper from a small repository on loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydib.host.command import find_tool
from pydib.paths import elements_dir
from tests.served import served

pytestmark = pytest.mark.machine

NAMES = ("bash", "coreutils", "basesystem", "filesystem", "dnf", "systemd", "passwd", "sudo", "glibc-minimal-langpack",
         "zypper", "python3", "patterns-base-minimal_base", "vim-minimal", "rpm", "kernel")
NEEDS = {"bash": "coreutils filesystem", "python3": "bash", "dnf": "rpm bash systemd python3",
         "zypper": "rpm bash systemd"}
RPM = """\
#!/bin/bash
# the one question that elements ask
if [ "$1" = --eval ]; then echo /usr/lib/sysimage/rpm; fi
"""
CALLED = """\
#!/bin/bash
# stands for a program of the image, of which only is noted how it is called
echo "${0##*/} $*" >>/etc/called
"""
FOLDERS = ("dev", "proc", "sys", "tmp", "root", "run", "etc", "boot", "home", "var/log", "var/cache", "var/tmp",
           "usr/bin", "usr/sbin", "usr/lib", "usr/lib64")
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
HEAD = """\
Name: fedora-release
Version: 41
Release: 1
Summary: x
License: none
BuildArch: noarch
AutoReqProv: no
%define _build_id_links none
%define _binary_payload w1.gzdio
%define _binaries_in_noarch_packages_terminate_build 0
%define debug_package %{nil}
%define __os_install_post %{nil}
%description
x
"""


MODULES = ("collections", "encodings", "importlib", "json", "logging", "re")
"""Folders of Python's library; of the rest its single files are enough."""


def copied(program: Path, name: str, tree: Path) -> list[str]:
    """Copy a program of this machine, and the libraries that it needs, into `tree`; gives the paths there."""
    told = subprocess.run(["ldd", program], check=True, text=True, capture_output=True).stdout
    names = [f"/{name}"]
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, tree / name)
    for library in re.findall(r"(/\S+)", told):
        place = re.sub("^(/usr)?/lib", "/usr/lib", library)
        if not (tree / place[1:]).exists():
            (tree / place[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, tree / place[1:])
            names.append(place)
    return names


def lay_out(tree: Path) -> dict[str, list[str]]:
    """Make the files of the packages in `tree`; gives, by package, their paths. The programs are this machine's."""
    owned: dict[str, list[str]] = {"filesystem": [f"%dir /{folder}" for folder in FOLDERS]}
    for folder in FOLDERS:
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        (tree / name).symlink_to(target)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    owned["filesystem"] += [*(f"/{name}" for name in LINKS), "/etc/passwd", "/etc/group"]
    owned["bash"] = copied(Path(find_tool("bash") or ""), "usr/bin/bash", tree)
    owned["python3"] = copied(Path(sys.executable).resolve(), "usr/bin/python3", tree)
    library = Path(sysconfig.get_path("stdlib"))
    place = tree / f"usr/lib/{library.name}"
    place.mkdir()
    for path in library.iterdir():
        if path.suffix == ".py" or path.name in MODULES:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, place / path.name)
    owned["python3"].append(f"/usr/lib/{library.name}")
    busybox = find_tool("busybox")
    assert busybox
    shutil.copy(busybox, tree / "usr/bin/busybox")
    applets = subprocess.run([busybox, "--list"], check=True, text=True, capture_output=True).stdout.split()
    wanted = [name for name in applets if name not in ("busybox", "bash", "rpm", "install")]
    for name in wanted:
        (tree / "usr/bin" / name).symlink_to("busybox")
    owned["coreutils"] = ["/usr/bin/busybox", *(f"/usr/bin/{name}" for name in wanted)]
    scripts = {"rpm": ("rpm", RPM), "dnf": ("dnf", CALLED), "zypper": ("zypper", CALLED),
               "systemctl": ("systemd", CALLED), "localedef": ("glibc-minimal-langpack", CALLED),
               "install": ("coreutils", (elements_dir() / "busybox/busybox/install").read_text())}
    for name, (package, text) in scripts.items():
        (tree / "usr/bin" / name).write_text(text)
        (tree / "usr/bin" / name).chmod(0o755)
        owned.setdefault(package, []).append(f"/usr/bin/{name}")
    (tree / "etc/fedora-release").write_text("Fedora release 41\n")
    (tree / "boot/vmlinuz-6.11").write_text("stands for a kernel\n")
    return {**owned, "kernel": ["/boot/vmlinuz-6.11"]}


def spec(owned: dict[str, list[str]], tree: Path) -> str:
    """A spec file: packages that stand for a distribution's."""
    lines = [HEAD]
    for name in NAMES:
        needs = [f"Requires: {NEEDS[name]}"] if name in NEEDS else []
        lines += [f"%package -n {name}", "Summary: x", "AutoReqProv: no", *needs,
                  f"%description -n {name}", "x"]
    lines += ["%install", f"cp -a {tree}/. %{{buildroot}}", "%files", "/etc/fedora-release"]
    for name in NAMES:
        lines += [f"%files -n {name}", *owned.get(name, [])]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a folder served on the loopback address, with the repository at every place that is asked for."""
    for tool in ("rpmbuild", "createrepo_c", "busybox"):
        assert find_tool(tool), f"{tool} is not installed; `make setup` brings it"
    place = tmp_path_factory.mktemp("repository")
    packages = place / "packages"
    (place / "all.spec").write_text(spec(lay_out(place / "tree"), place / "tree"))
    macros = {"_topdir": place / "build", "_rpmdir": packages}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    subprocess.run(["rpmbuild", "--quiet", "-bb", *defines, place / "all.spec"], check=True, capture_output=True)
    subprocess.run(["createrepo_c", "--quiet", packages], check=True)
    for path in ("releases/41/Everything/x86_64/os", "updates/41/Everything/x86_64", "distribution/leap/15.6/repo/oss",
                 "update/leap/15.6/oss"):
        (place / "served" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "served" / path).symlink_to(packages)
    with served(place / "served") as address:
        yield address


def built(place: Path, element: str, **env: str) -> Path:
    """Build the element's image; gives the folder into which its tree is unpacked."""
    variables = {**{name: value for name, value in os.environ.items() if not name.startswith("DIB_")},
                 "DIB_IMAGE_CACHE": str(place / "cache"), "TMPDIR": str(place), **env}
    command = [sys.executable, "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "-t", "tar",
               "--no-cache", "--progress", "lines", "-o", place / "image", element]
    done = subprocess.run(command, env=variables, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    target = place / "target"
    target.mkdir()
    subprocess.run(["tar", "-C", target, "-xf", place / "image.tar"], check=True)
    return target


@pytest.mark.proves("yum-minimal", "fedora-minimal", how="real run")
def test_dnf_makes_an_image(tmp_path: Path, repository: str) -> None:
    target = built(tmp_path, "fedora-minimal", DIB_RELEASE="41", DIB_YUM_MINIMAL_GPGCHECK="0",
                   DIB_DISTRIBUTION_MIRROR=repository, DIB_YUM_MINIMAL_BOOTSTRAP_PACKAGES="vim-minimal")
    assert (target / "etc/fedora-release").read_text() == "Fedora release 41\n"
    assert (target / "usr/lib/sysimage/rpm/rpmdb.sqlite").exists(), "where the image's own rpm looks for it"
    listed = subprocess.run(["rpm", "--dbpath", f"{target}/usr/lib/sysimage/rpm", "-qa", "--qf", "%{NAME}\n"],
                            capture_output=True, text=True, check=True).stdout.split()
    assert {"vim-minimal", "rpm", "systemd", "fedora-release"} <= set(listed)
    assert re.search(r"^dnf .*install.* kernel\b", (target / "etc/called").read_text(), re.MULTILINE)


@pytest.mark.proves("zypper-minimal", "opensuse-minimal", how="real run")
def test_zypper_makes_an_image(tmp_path: Path, repository: str) -> None:
    target = built(tmp_path, "opensuse-minimal", DIB_RELEASE="15.6", DIB_ZYPPER_GPGCHECK="0",
                   DIB_DISTRIBUTION_MIRROR=repository)
    assert (target / "usr/bin/busybox").exists() and (target / "usr/bin/rpm").exists()
    repositories = (target / "etc/zypp/repos.d/oss.repo").read_text()
    assert f"{repository}/distribution/leap/15.6/repo/oss" in repositories
    assert re.search(r"^zypper .*install .*kernel-default", (target / "etc/called").read_text(), re.MULTILINE)
