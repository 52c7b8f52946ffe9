"""The sweep: every hook of DIB's own elements, run against every ready root that it fits, with recorded programs.

A smoke test of the testkit on a few hundred scripts that others wrote. What each came to is kept in
`fixtures/sweep/dib-VERSION.yaml`, one word or two a script and root; differences are told.

    python -m tests.testkit.sweep            compare
    python -m tests.testkit.sweep --write    write the file anew
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import yaml

from benchmarks import oracle
from pydib.element.hooks import scripts_in
from pydib.element.shelf import Element, Shelf, find_elements
from pydib.errors import PydibError
from pydib.testkit.element import ElementUnderTest
from pydib.testkit.fake_root import FakeRoot
from pydib.testkit.session import end_session, session

GOLDEN = Path(__file__).resolve().parents[2] / f"fixtures/sweep/dib-{oracle.VERSION}.yaml"
PHASES = ("root.d", "extra-data.d", "pre-install.d", "install.d", "post-install.d", "post-root.d", "block-device.d",
          "pre-finalise.d", "finalise.d", "cleanup.d")
ROOTS = ("debian-12", "ubuntu-24.04", "fedora-41", "centos-stream-9", "opensuse-leap-15.6", "gentoo")
FITS = {
    "debian": ("debian-12",), "ubuntu": ("ubuntu-24.04",), "fedora": ("fedora-41",),
    "opensuse": ("opensuse-leap-15.6",),
    "centos": ("centos-stream-9",), "rhel": ("centos-stream-9",), "rocky": ("centos-stream-9",),
    "almalinux": ("centos-stream-9",), "openeuler": ("centos-stream-9",), "epel": ("centos-stream-9",),
    "gentoo": ("gentoo",), "zypper": ("opensuse-leap-15.6",), "yum": ("fedora-41", "centos-stream-9"),
    "dpkg": ("debian-12", "ubuntu-24.04"), "apt": ("debian-12", "ubuntu-24.04"), "redhat": ("centos-stream-9",),
    "debootstrap": ("debian-12", "ubuntu-24.04"),
}
"""Roots for elements whose name begins so; the others fit everywhere."""

NOT_EVERYWHERE = ("cpio", "file", "findmnt", "gawk", "getconf", "jq", "locale", "lzma", "more", "patch", "pgrep",
                  "pkill", "ps", "rename", "rsync", "unzip", "unzstd", "uuidgen", "zip", "zstd", "zstdcat")
"""Ordinary programs that a machine may lack: recorded here, so that all machines come to the same."""

SECONDS = 10
WORKERS = 2
ENVIRONMENT = {"DIB_CLOUD_IMAGES": "/nowhere", "IMAGE_BLOCK_DEVICE": "/dev/loop0", "DIB_INSTALLTYPE_none": ""}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One script over one root."""

    element: str
    script: str
    root: str

    @property
    def name(self) -> str:
        """ELEMENT/PHASE.d/SCRIPT."""
        return f"{self.element}/{self.script}"


@dataclass
class Sweep:
    """What came of it: class by root and script."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def scripts(self) -> int:
        """How many different scripts ran."""
        return len({name for classes in self.found.values() for name in classes})

    @property
    def runs(self) -> int:
        """How many runs there were."""
        return sum(len(classes) for classes in self.found.values())

    def summary(self) -> str:
        """The figures, for people."""
        kinds = Counter(kind.split()[0] for classes in self.found.values() for kind in classes.values())
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        return (f"sweep of diskimage-builder {oracle.VERSION}: {self.scripts} scripts, {self.runs} runs over "
                f"{len(self.found)} roots in {self.seconds:.1f} s: {told}")

    def differences(self, golden: dict[str, dict[str, str]]) -> list[str]:
        """Lines that say what is not as it was."""
        lines = []
        for root in sorted(self.found.keys() | golden.keys()):
            now, then = self.found.get(root, {}), golden.get(root, {})
            lines += [f"{root}: {name}: was {then.get(name, 'not there')}, is {now.get(name, 'not there')}"
                      for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)]
        return lines


def cases(shelf: Shelf) -> Iterator[Case]:
    """Everything that is run."""
    for element in shelf:
        for phase in PHASES:
            for name in scripts_in(element.path / phase).names:
                for root in fitting(element):
                    yield Case(element=element.name, script=f"{phase}/{name}", root=root)


def fitting(element: Element) -> tuple[str, ...]:
    """Roots that an element is for."""
    return next((roots for start, roots in FITS.items() if element.name.startswith(start)), ROOTS)


def run(elements: Path) -> Sweep:
    """Run all, on two processors."""
    sweep, began = Sweep(), time.monotonic()
    with ProcessPoolExecutor(max_workers=WORKERS, mp_context=get_context("spawn")) as pool:
        for found in pool.map(_part, range(WORKERS), [elements] * WORKERS):
            for case, kind in found:
                sweep.found.setdefault(case.root, {})[case.name] = kind
    sweep.seconds = time.monotonic() - began
    return sweep


def _part(number: int, elements: Path) -> list[tuple[Case, str]]:
    shelf = find_elements([elements])
    try:
        return [(case, outcome(case, elements, shelf)) for case in list(cases(shelf))[number::WORKERS]]
    finally:
        end_session()


def outcome(case: Case, elements: Path, shelf: Shelf) -> str:
    """The class of one run: `did` something, found nothing `to-do`, needs a `variable`, called something `unexpected`,
    `failed`, `hung`, or could `not-begin`."""
    base = session().new_directory("sweep")
    try:
        root = FakeRoot(base).like(case.root)
        root.commands.fake(*NOT_EVERYWHERE)
        under_test = ElementUnderTest(case.element, root=root, shelves=[elements], shelf=shelf)
        done = under_test.run(case.script, env=ENVIRONMENT, seconds=SECONDS)
    except PydibError as error:
        return f"not-begin {type(error).__name__}"
    except AssertionError as error:
        called = re.search(r"called `([^`\s]+)", str(error))
        return f"unexpected {called[1]}" if called else "hung"
    finally:
        session().remove(base)
    unset = re.search(r"line \d+: (\w+): (unbound variable|parameter null or not set)", done.output)
    if done.ok:
        return "did" if done.changes or done.calls else "to-do nothing"
    return f"variable {unset[1]}" if unset else f"failed {done.exit_code}"


def golden() -> dict[str, dict[str, str]]:
    """What came of it before."""
    return dict(yaml.safe_load(GOLDEN.read_text())) if GOLDEN.exists() else {}


def main() -> int:
    """Run, tell, and write or compare."""
    parser = argparse.ArgumentParser(prog="sweep", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the file anew")
    options = parser.parse_args()
    sweep = run(oracle.elements_folder())
    print(sweep.summary())
    print("\n".join(sweep.differences(golden())))
    if options.write:
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(yaml.safe_dump(sweep.found, sort_keys=True, width=200))
    return 0 if options.write or sweep.found == golden() else 1


if __name__ == "__main__":
    sys.exit(main())
