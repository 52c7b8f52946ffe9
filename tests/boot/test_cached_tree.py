"""A Debian tree from layers is the tree that the scripts make without any: for root, and for an ordinary user."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import figures
from tests.machine.layered import Layered, LayeredBuilder, LayeredUserBuilder
from tests.ordinary_user import ordinary_user

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")

OWN_TIMES = {
    r"^var/log/": "logs, with the time of the build",
    r"^var/cache/(apt|debconf|man|ldconfig)/|^var/lib/(apt|dpkg|ucf|pam)/": "lists and databases with times and orders",
    r"^etc/(passwd-|group-|shadow-?|gshadow-?|ld\.so\.cache|machine-id)$": "days, and numbers of the very build",
    r"^etc/dib-manifests|^etc/dib-builddate": "say when and how the image was built",
    r"^etc/ssh/ssh_host_|^etc/ssl/|^var/lib/(ca-certificates|systemd)/": "made anew in every build",
    r"^boot/initrd|^boot/grub": "hold times, and the filesystem's UUID",
    r"^lib/modules/[^/]*/modules\.|^usr/lib/modules/[^/]*/modules\.": "depmod's index, in the order of the folders",
    r"/__pycache__/": "byte code holds the time of its source",
    r"^etc/iscsi/initiatorname": "made anew in every build",
}
"""Files whose content scripts make themselves from the time of the build, or at random. Their kind, mode, owners and
attributes must be the same all the same."""


@contextmanager
def builder_of(who: str, tmp_path: Path, fixtures: Path) -> Iterator[Layered]:
    if who == "root":
        yield LayeredBuilder(tmp_path, fixtures)
        return
    with ordinary_user() as user:
        yield LayeredUserBuilder(Path(tempfile.mkdtemp(prefix="build-", dir=user.home)), user)


def without_content(facts: str) -> str:
    """Mode, owners and attributes."""
    mode, owners, *rest = facts.split(" ")
    return " ".join([mode, owners, *(word for word in rest if "=" in word)])


@pytest.mark.machine
@pytest.mark.parametrize("who", ["root", "user"])
def test_trees_from_layers_and_without(who: str, tmp_path: Path, fixtures: Path) -> None:
    """Layers as they were made, layers that another store gave, and none."""
    with builder_of(who, tmp_path, fixtures) as made:
        made.names = ["base", "debian-minimal", "vm"]
        shared = str(made.out.parent / "shared")
        sharing = ["--cache-from", shared, "--cache-to", shared]
        seconds = [_seconds(lambda: made.build(*sharing))]
        assert "runs once more" not in made.log
        first = made.tree()
        shutil.rmtree(made.store)
        seconds.append(_seconds(lambda: made.build(*sharing)))
        assert not {script: reason for script, reason in made.reasons.items()
                    if script.startswith(("root.d", "pre-install.d", "install.d", "post-install.d"))}
        again = made.tree()
        assert made.told("cache", "verify").endswith("all as they were written\n")
        seconds.append(_seconds(lambda: made.build("--no-cache")))
        plain = made.tree()
    assert _differences(first, again) == []
    assert sorted(again) == sorted(plain)
    assert _differences(again, plain) == []
    figures.append(f"Debian by {who}, in seconds: {seconds[0]:.0f} with layers that are made and given, "
                   f"{seconds[1]:.0f} with layers that are taken, {seconds[2]:.0f} without")
    assert any("linked" in facts for facts in plain.values())


def _seconds(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _differences(left: dict[str, str], right: dict[str, str]) -> list[str]:
    found = []
    for name in sorted({*left, *right}):
        one, other = left.get(name, "missing"), right.get(name, "missing")
        if any(re.search(pattern, name) for pattern in OWN_TIMES):
            one, other = without_content(one), without_content(other)
        if one != other:
            found.append(f"{name}: {one} | {other}")
    return found
