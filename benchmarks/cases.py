"""What is measured: each case gives its two sides."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import oracle
from benchmarks.harness import Result, Side, compare, compare_all
from benchmarks.testkit import plugin, script_test, script_test_user

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "elements"
HOOK_PHASES = ("extra-data", "pre-install", "install", "post-install", "post-root", "finalise")
HOOKS = 300
ROOT_MIB = 170
TREE_MB = 890


def ours_program(name: str) -> str:
    """Path of the installed program."""
    return str(Path(sys.executable).parent / name)


def _clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIB_")}
    return {**kept, **more}


def emptied(folder: Path) -> Callable[[], None]:
    """Does what makes `folder` empty."""
    def empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    return empty


def without_layers(place: Path) -> Callable[[], None]:
    """The next build starts from zero, but for downloads. The old layers are put aside, not removed: ext4 without a
    journal gives out no inode number of a file removed within the last minutes, and looks for another one for a third
    of a millisecond each time."""
    def forget() -> None:
        layers = place / "cache" / "layers"
        if layers.exists():
            layers.rename(tempfile.mkdtemp(prefix="layers-", dir=place))
        emptied(place / "out")()
    return forget


def _builds(place: Path, arguments: Sequence[str], env: dict[str, str], *, own_elements: bool = False
            ) -> tuple[Side, Side]:
    """The same disk-image-create line for both, ours without layers of earlier runs. With `own_elements` each side uses
    the elements that it brings."""
    out = place / "out"
    given = {"DIB_IMAGE_CACHE": str(place / "cache"), **env}
    if not own_elements:
        given["ELEMENTS_PATH"] = os.pathsep.join([str(place / "elements"), str(FIXTURES)])
    line = ["-o", str(out / "disk"), *arguments]
    ours = Side(name="pydib", argv=[ours_program("disk-image-create"), *line], env=given, cwd=place,
                before=without_layers(place))
    theirs = Side(name=f"DIB {oracle.VERSION}", argv=oracle.command(*line), env=given, cwd=place,
                  before=emptied(out))
    return ours, theirs


def resolve(place: Path, runs: int) -> Result:
    """Python's start, and resolution over DIB's own tree; the baseline is DIB's element-info."""
    env = _clean_environment(ELEMENTS_PATH=str(oracle.elements_folder()))
    names = ["debian-minimal", "vm", "block-device-gpt", "cloud-init", "openssh-server", "growroot"]
    library = oracle.elements_folder().parent / "lib" / "element-info.py"
    ours = Side(name="pydib", argv=[ours_program("pydib"), "resolve", *names], env=env, cwd=place)
    theirs = Side(name="DIB element-info", argv=[str(oracle.install() / "bin" / "python"), str(library), *names],
                  env=env, cwd=place)
    return compare("resolve, 130 elements", ours, theirs, runs=max(runs, 7), limit_seconds=0.15, warm_up=True)


HOOKS_LINE = ["-n", "-t", "raw", "-a", "amd64", "tiny-os", "tiny-gnu", "many-hooks"]


def _many_hooks(place: Path) -> None:
    element = place / "elements" / "many-hooks"
    for phase in HOOK_PHASES:
        folder = element / f"{phase}.d"
        folder.mkdir(parents=True)
        for number in range(HOOKS // len(HOOK_PHASES)):
            script = folder / f"{number:03d}-empty"
            script.write_text("#!/bin/sh\n")
            script.chmod(0o755)
    filler = element / "root.d" / "50-fill"
    filler.parent.mkdir()
    filler.write_text("#!/bin/bash\nset +o pipefail\n"
                      f"yes pydib | head -c {ROOT_MIB << 20} > \"$TARGET_ROOT/filler\"\n")
    filler.chmod(0o755)


def hooks(place: Path, runs: int) -> Result:
    """300 empty hooks over six phases and a root of 170 MB, to raw."""
    _many_hooks(place)
    ours, theirs = _builds(place, HOOKS_LINE, _clean_environment())
    return compare("300 empty hooks, 170 MB root, raw", ours, theirs, runs=runs, goal=0.25, warm_up=True)


def layers(place: Path, runs: int) -> Result:
    """What keeping layers costs a build of two seconds that starts from zero, mostly for 170 MB that go to a disk and
    not to memory; the baseline is the same build with --no-cache. `builds` has the same for a distribution."""
    _many_hooks(place)
    ours, _ = _builds(place, HOOKS_LINE, _clean_environment())
    plain = replace(ours, name="pydib --no-cache", argv=[*ours.argv, "--no-cache"])
    return compare("keeping layers, 300 empty hooks", ours, plain, runs=max(runs, 7), goal=1.05, warm_up=True)


def debian(place: Path, runs: int) -> Result:
    """debian-minimal vm to compressed qcow2, each with its own elements and a warm package cache; a third of the runs,
    but one at least."""
    ours, theirs = debian_sides(place, ["debian-minimal", "vm"])
    return compare("debian-minimal vm, qcow2 (zlib)", ours, theirs, runs=max(1, runs // 3), goal=0.4, warm_up=True)


def debian_sides(place: Path, words: Sequence[str]) -> tuple[Side, Side]:
    """An image of these elements and options, each side with its own elements, of one release and one mirror."""
    mirror = os.environ.get("DIB_DISTRIBUTION_MIRROR")
    release = os.environ.get("DIB_RELEASE", "bookworm")
    env = _clean_environment(DIB_IMAGE_CACHE=str(place / "cache"), DIB_RELEASE=release,
                             **({"DIB_DISTRIBUTION_MIRROR": mirror} if mirror else {}))
    if security := oracle.security_mirror():
        env["DIB_DEBIAN_SECURITY_MIRROR"] = security
    return _builds(place, words, env, own_elements=True)


DIBS_WAY = "loop, mkfs, cp, qemu-img"
BY_HAND = "sfdisk, mke2fs -d, qemu-img -W"


def assembly(place: Path, runs: int) -> Result:
    """A tree of 890 MB in 20,000 files becomes a disk, in tree mode; the baseline is device mode."""
    return _assembly(runs, ("device", "pydib, device mode"), "raw", goal=1.0)


def assembly_by_tools(place: Path, runs: int) -> Result:
    """The same; the baseline is sfdisk and mke2fs -d alone."""
    return _assembly(runs, ("tools", "sfdisk, mke2fs -d"), "raw", goal=1.3)


def assembly_to_qcow2(place: Path, runs: int) -> Result:
    """The same tree to a qcow2 compressed with zstd; the baseline is sfdisk, mke2fs -d and qemu-img -W by hand."""
    return _assembly(runs, ("tools", BY_HAND), "qcow2", goal=1.2)


ONE_TREE = {f"{TREE_MB} MB in 20,000 files": (20_000, TREE_MB * 10**6 // 20_000)}
TREES = {
    "200 MB in 4,500 files": (4_500, 44_500),
    "4 GB in 90,000 files": (90_000, 44_500),
    "300 MB in 300,000 files": (300_000, 1_000),
    "900 MB in 9 files": (9, 100_000_000),
}
"""Files, and the bytes of each."""
FORMATS = {"raw": DIBS_WAY, "zlib": DIBS_WAY, "vmdk": DIBS_WAY, "tar": "tar", "tgz": "tar, gzip -9",
           "squashfs": "mksquashfs"}
TOLD = {"qcow2": "zstd qcow2", "zlib": "zlib qcow2"}


def trees(place: Path, runs: int) -> list[Result]:
    """Trees of other sizes to a qcow2 compressed with zstd, beside the tools by hand, device mode, and DIB's way; a
    third of the runs, but one at least, and none to warm up."""
    baselines = {"tools": BY_HAND, "device": "pydib, device mode", "dib": DIBS_WAY}
    return [result for name in TREES for result in _assemblies(max(1, runs // 3), name, [("qcow2", baselines)])]


def formats(place: Path, runs: int) -> list[Result]:
    """A tree of 200 MB to each other format, beside DIB's way; as often as `trees`."""
    return _assemblies(max(1, runs // 3), next(iter(TREES)), [(kind, {"dib": name}) for kind, name in FORMATS.items()])


def _assembly(runs: int, baseline: tuple[str, str], kind: str, *, goal: float) -> Result:
    return _assemblies(runs, next(iter(ONE_TREE)), [(kind, dict([baseline]))], goal=goal, warm_up=True)[0]


def _assemblies(runs: int, name: str, wanted: Sequence[tuple[str, Mapping[str, str]]], *, goal: float | None = None,
                warm_up: bool = False) -> list[Result]:
    """One tree to some formats, each beside baselines: their modes, and what they are called. In memory, as in a build
    (C-124)."""
    files, file_bytes = {**ONE_TREE, **TREES}[name]
    with tempfile.TemporaryDirectory(prefix="pydib-bench-", dir="/dev/shm") as folder:
        tree, out = Path(folder, "tree"), Path(folder, "out")
        fill(tree, files, file_bytes)
        alone = ["unshare", "--mount", "--propagation", "private"]  # as in a build: nobody else sees the mounts
        program = [*alone, sys.executable, "-m", "benchmarks.assembly"]

        def side(mode: str, kind: str, told: str) -> Side:
            return Side(name=told, argv=[*program, mode, kind, str(tree), str(out)], env=_clean_environment(),
                        cwd=Path(__file__).resolve().parent.parent, before=emptied(out))
        return [result for kind, baselines in wanted for result in compare_all(
            f"assembly, {name} to {TOLD.get(kind, kind)}", side("tree", kind, "pydib, tree mode"),
            [side(mode, kind, told) for mode, told in baselines.items()], runs=runs, goal=goal, warm_up=warm_up)]


def fill(tree: Path, files: int, file_bytes: int) -> None:
    """Put `files` files of that size into `tree`, a hundred in a folder."""
    for number in range(files):
        folder = tree / f"folder-{number // 100:04d}"
        if number % 100 == 0:
            folder.mkdir(parents=True)
        (folder / f"file-{number % 100:02d}").write_bytes(content(file_bytes))


def content(size: int) -> bytes:
    """Half of it can be compressed, as in a system's files."""
    noise = os.urandom(size // 2)
    return (noise + noise[:64].hex().encode() * (size // 256 + 1))[:size]


CASES: dict[str, Callable[[Path, int], Result]] = {
    "resolve": resolve, "hooks": hooks, "assembly": assembly, "assembly-by-tools": assembly_by_tools,
    "assembly-to-qcow2": assembly_to_qcow2, "debian": debian,
    "layers": layers, "script-test": script_test,
    "script-test-user": script_test_user, "plugin": plugin}
