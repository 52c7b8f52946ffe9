"""Tools that elements call: ours beside diskimage-builder's (contract section 10)."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import io
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pydib import paths
from tests.contract.compare import Family, PythonOracle

DISTROS = (("debian", "bookworm"), ("ubuntu", "noble"), ("fedora", "41"), ("centos", "9-stream"),
           ("centos", "8-stream"), ("centos", "7"), ("centos7", "7"), ("rhel", "9"), ("rocky", "9"),
           ("almalinux", "9"), ("openeuler", "22.03-LTS"), ("opensuse", "15.6"), ("gentoo", ""),
           ("ubuntu-minimal", "jammy"), ("arch", ""))


def load(name: str) -> ModuleType:
    """One of our elements' programs, as a module."""
    path = str(paths.elements_dir() / name)
    loader = importlib.machinery.SourceFileLoader("contract_" + Path(name).name.replace("-", "_").split(".")[0], path)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Only `values` in os.environ."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_main(module: ModuleType, argv: Sequence[str], env: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of one of our programs, in this process."""
    out = io.StringIO()
    with environment(env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = module.main(list(argv))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code or 0, out.getvalue()


# --- package-installs -------------------------------------------------------------------------------------------


def phases(result: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """Phases and lists that hold something, sorted."""
    found = {phase: {action: sorted(map(list, entries)) for action, entries in lists.items() if entries}
             for phase, lists in result.items()}
    return {phase: lists for phase, lists in found.items() if lists}


def compare_squash(family: Family, oracle: PythonOracle, scratch: Path, cases: list[dict[str, Any]]) -> None:
    """Compare what merges the files package-installs.yaml."""
    ours = load("package-installs/package-installs/squash")
    out = scratch / "ours.json"
    for case, answer in zip(cases, oracle.ask("squash", cases), strict=True):
        theirs: Any = phases(answer["phases"]) if "phases" in answer else "refused"
        code, _ = run_main(ours, ["--elements", case["elements"], "--path", case["path"], str(out)], case["env"])
        mine = phases(json.loads(out.read_text())) if code == 0 else "refused"
        if theirs != mine:
            theirs = {"given": theirs, "corrected": corrected(oracle, case)}
        family.compare(case, theirs, mine)


def corrected(oracle: PythonOracle, case: dict[str, Any]) -> Any:
    """What the oracle makes of the case without its slips: no blanks after commas, no empty file, no element twice."""
    folders = {element: next(place for place in case["path"].split(":") if Path(place, element).exists())
               for element in case["elements"].split()}
    with tempfile.TemporaryDirectory() as scratch:
        for element, place in folders.items():
            Path(scratch, element).mkdir()
            for path in Path(place, element).glob("package-installs.*"):
                text = "{}" if path.read_text().strip() in ("null", "null\n...") else path.read_text()
                content = yaml.safe_load(text)
                if isinstance(content, dict):
                    content = {package: _without_blanks(value) for package, value in content.items()}
                Path(scratch, element, path.name).write_text(json.dumps(content))
        answer = oracle.ask("squash", [{**case, "path": scratch}])[0]
    return phases(answer["phases"]) if "phases" in answer else "refused"


def _without_blanks(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_blanks(each) for each in value]
    if isinstance(value, dict):
        return {key: each.replace(", ", ",") if key in ("arch", "not-arch") else each for key, each in value.items()}
    return value


@pytest.mark.family("package-installs, real elements")
@pytest.mark.contract("C-240", "C-241", "C-242", "C-243")
def test_package_installs_of_real_elements(family: Family, python_oracle: PythonOracle, real_elements: Path,
                                           tmp_path: Path) -> None:
    dice = random.Random(12)
    names = sorted(path.parent.name for path in real_elements.glob("*/package-installs.*"))
    some = {"DIB_PYTHON_VERSION": "3", "DIB_CLOUD_INIT_DATASOURCES": "None", "DIB_SIMPLE_INIT_NETWORKMANAGER": "0"}
    cases = []
    arches, kinds = ("amd64", "arm64", "ppc64le"), ("source", "package")
    for arch, kind, (distro, release) in itertools.product(arches, kinds, DISTROS[:6]):
        env = {**some, "ARCH": arch, "DIB_DEFAULT_INSTALLTYPE": kind, "DISTRO_NAME": distro, "DIB_RELEASE": release}
        cases += [{"elements": name, "path": str(real_elements), "env": env} for name in names]
        cases.append({"elements": " ".join(dice.sample(names, 6)), "path": str(real_elements), "env": env})
    compare_squash(family, python_oracle, tmp_path, dice.sample(cases, 500))
    family.finish()


def rule(dice: random.Random) -> dict[str, Any]:
    """The options of a package, at random."""
    made: dict[str, Any] = {}
    if dice.random() < 0.5:
        made["phase"] = dice.choice(("pre-install.d", "install.d", "post-install.d"))
    if dice.random() < 0.25:
        made[dice.choice(("uninstall", "build-only"))] = dice.choice((True, False, None))
    if dice.random() < 0.3:
        made["installtype"] = dice.choice(("source", "package"))
    if dice.random() < 0.3:
        arches = ("amd64", "arm64", "amd64,arm64", "ppc64le, amd64", "x, arm64")
        made[dice.choice(("arch", "not-arch"))] = dice.choice(arches)
    if dice.random() < 0.05:
        made.update({"arch": "amd64", "not-arch": "arm64"})
    if dice.random() < 0.2:
        made["dib_python_version"] = dice.choice((2, 3, "3"))
    if dice.random() < 0.3:
        made["when"] = dice.choice(("A=1", "A = 1", "A != 1", ["A=1", "B=x y"], "B = x y", "A =~ 1", "A", "UNSET=1",
                                    ["A!=1", "UNSET=1"], "E="))
    return made


@pytest.mark.family("package-installs, generated")
@pytest.mark.contract("C-242", "C-244", "C-245", "C-157", verdict="bettered",
                      note="blanks in lists of architectures, and removals, do what they say")
def test_generated_package_installs(family: Family, python_oracle: PythonOracle, tmp_path: Path) -> None:
    dice = random.Random(13)
    cases = []
    for number in range(400):
        place = tmp_path / f"{number}"
        for element in ("one-a", "two", "three")[:dice.randint(1, 3)]:
            (place / element).mkdir(parents=True)
            content: Any = {dice.choice(("vim", "emacs", "gcc", "make")): dice.choice(
                (None, "", {}, [], rule(dice), rule(dice), rule(dice), [rule(dice), rule(dice)])) for _ in range(2)}
            if dice.random() < 0.04:
                content = dice.choice((None, ["vim"], "vim"))
            name = dice.choice(("package-installs.yaml", "package-installs.yaml", "package-installs.json"))
            text = json.dumps(content) if name.endswith("json") else yaml.safe_dump(content)
            (place / element / name).write_text(text)
        env = {"ARCH": dice.choice(("amd64", "arm64")), "DIB_PYTHON_VERSION": "3", "A": dice.choice("12"),
               "B": "x y", "E": ""}
        if dice.random() < 0.5:
            env["DIB_INSTALLTYPE_one_a"] = "package"
        if dice.random() < 0.3:
            env["DIB_DEFAULT_INSTALLTYPE"] = "package"
        cases.append({"elements": " ".join(sorted(os.listdir(place))), "path": str(place), "env": env})
    over = tmp_path / "over"
    for place_name, package in (("first", "emacs"), ("second", "vim")):
        (over / place_name / "same").mkdir(parents=True)
        (over / place_name / "same" / "package-installs.yaml").write_text(f"{package}:\n")
    cases.append({"elements": "same", "path": f"{over}/first:{over}/second", "env": {"ARCH": "amd64"}})
    compare_squash(family, python_oracle, tmp_path, cases)
    family.finish()


# --- pkg-map ----------------------------------------------------------------------------------------------------


def compare_maps(family: Family, oracle: PythonOracle, cases: list[dict[str, Any]]) -> None:
    """Compare pkg-map: exit code and lines."""
    ours = load("pkg-map/bin/pkg-map")
    for case, answer in zip(cases, oracle.ask("pkg_map", cases), strict=True):
        code, text = run_main(ours, case["argv"], case["env"])
        family.compare(case, (answer["code"], answer["out"].splitlines()), (code, text.splitlines()))


@pytest.mark.family("pkg-map")
@pytest.mark.contract("C-251", "C-252", "C-253")
def test_package_names(family: Family, python_oracle: PythonOracle, real_elements: Path, tmp_path: Path) -> None:
    dice = random.Random(14)
    cases = []
    for path in sorted(real_elements.glob("*/pkg-map")):
        names = sorted({name for part in _leaves(json.loads(path.read_text())) for name in part})
        for distro, release in DISTROS:
            argv = ["--pkg-map", str(path), *names[:40]]
            cases.append({"argv": [*argv, *["--missing-ok"] * (dice.random() < 0.5), "unmapped"],
                          "env": {"DISTRO_NAME": distro, "DIB_RELEASE": release}})
    for number in range(300):
        path = tmp_path / f"map{number}"
        path.write_text(json.dumps(pkg_map(dice)) if dice.random() < 0.97 else "{broken")
        distro, release = dice.choice(DISTROS)
        argv = [dice.choice(("a", "b", "c", "d", "--unknown")) for _ in range(dice.randint(0, 4))]
        argv += ["--missing-ok"] * (dice.random() < 0.4) + ["--prefix", "-"] * (dice.random() < 0.2)
        argv += ["--distro", "fedora"] * (dice.random() < 0.2) + ["--release", "41"] * (dice.random() < 0.2)
        place = ["--element", "no-such-map-anywhere"] if dice.random() < 0.1 else ["--pkg-map", str(path)]
        env = {"DISTRO_NAME": distro, "DIB_RELEASE": release} if dice.random() < 0.95 else {}
        cases.append({"argv": [*(place if dice.random() < 0.97 else []), *argv], "env": env})
    compare_maps(family, python_oracle, cases)
    family.finish()


def _leaves(content: Any) -> Iterator[dict[str, str]]:
    if isinstance(content, dict):
        if all(not isinstance(value, dict) for value in content.values()):
            yield content
        for value in content.values():
            yield from _leaves(value)


def pkg_map(dice: random.Random) -> dict[str, Any]:
    """A map, at random."""
    def names() -> dict[str, Any]:
        return {name: dice.choice((f"{name}-{dice.randint(1, 9)}", "two words", "", None))
                for name in dice.sample("abcd", 2)}
    made: dict[str, Any] = {"default": names()}
    if dice.random() < 0.7:
        made["family"] = {family: names() for family in dice.sample(("redhat", "debian", "suse", "gentoo"), 2)}
    if dice.random() < 0.6:
        made["distro"] = {distro: names() for distro, _ in dice.sample(DISTROS, 4)}
    if dice.random() < 0.6:
        made["release"] = {distro: {release or "x": names(), release.removesuffix("-stream") or "y": names()}
                           for distro, release in dice.sample(DISTROS, 5)}
    return made


# --- svc-map ----------------------------------------------------------------------------------------------------


@pytest.mark.family("svc-map")
@pytest.mark.contract("C-255", verdict="bettered", note="rocky, almalinux and openeuler belong to redhat here, too")
def test_service_names(family: Family, python_oracle: PythonOracle, real_elements: Path, tmp_path: Path) -> None:
    dice = random.Random(15)
    ours = load("svc-map/extra-data.d/svc-map-merge.py")
    places = [{path.parent.name: str(path.parent)} for path in sorted(real_elements.glob("*/svc-map"))
              if path.is_file()]
    for number in range(300):
        chosen = {}
        for element in ("one", "two", "three")[:dice.randint(1, 3)]:
            folder = tmp_path / str(number) / element
            folder.mkdir(parents=True)
            content = {f"svc-{element}-{which}" if dice.random() < 0.95 else "shared": services(dice) for which in "ab"}
            (folder / "svc-map").write_text(yaml.safe_dump(content))
            chosen[element] = str(folder)
        places.append(chosen)
    cases = [{"env": {"IMAGE_ELEMENT_YAML": yaml.safe_dump(chosen), "DISTRO_NAME": dice.choice(DISTROS)[0]}}
             for chosen in places]
    for case, answer in zip(cases, python_oracle.ask("svc_merge", cases), strict=True):
        theirs: Any = yaml.safe_load(answer["text"]) if "text" in answer else "refused"
        try:
            mine: Any = ours.merge(yaml.safe_load(case["env"]["IMAGE_ELEMENT_YAML"]), case["env"]["DISTRO_NAME"])
        except ValueError:
            mine = "refused"
        family.compare({"distro": case["env"]["DISTRO_NAME"], **case}, theirs, mine)
    family.finish()


def services(dice: random.Random) -> dict[str, str]:
    """Names of a service by distribution."""
    keys = ("default", "debian", "ubuntu", "redhat", "suse", "opensuse", "fedora", "centos", "gentoo", "rocky")
    return {key: f"{key}-{dice.randint(1, 99)}" for key in dice.sample(keys, dice.randint(1, 4))}


@pytest.mark.family("svc-map, names in the image")
@pytest.mark.contract("C-256")
def test_names_of_services_in_the_image(family: Family, python_oracle: PythonOracle, tmp_path: Path) -> None:
    dice = random.Random(17)
    program = (paths.elements_dir() / "svc-map/bin/svc-map").read_text()
    names = ("nova-compute", "sshd", "dbus", "mysql", "a.b")
    for number in range(30):
        root = tmp_path / str(number)
        for folder in ("lib/systemd/system", "etc/init", "usr/share/svc-map"):
            (root / folder).mkdir(parents=True)
        for name in dice.sample(names, 2):
            (root / dice.choice((f"lib/systemd/system/{name}.service", f"etc/init/{name}.conf"))).write_text("")
        services = {name: dice.choice((f"{name}-real", "openstack-nova", "no", "1")) for name in dice.sample(names, 3)}
        if dice.random() < 0.9:
            (root / "usr/share/svc-map/services").write_text(yaml.dump(services, default_flow_style=False))
        inside = re.sub(r'(?<=[\s"<])/(?=(etc|usr|lib)/)', f"{root}/", program)
        done = subprocess.run(["bash", "-c", inside, "svc-map", *names], capture_output=True, text=True, check=False)
        answer = python_oracle.ask("svc_map", [{"root": str(root), "names": list(names)}])[0]
        family.compare(services, (answer["code"], answer["out"].split()), (done.returncode, done.stdout.split()))
    family.finish()
