"""What `diskimage-builder FILE` would run, ours beside diskimage-builder's (contract C-031 to C-040)."""

from __future__ import annotations

import copy
import random
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pydib.errors import PydibError
from pydib.yaml_builds import builds
from tests.contract.compare import Family, PythonOracle

VALUES: dict[str, tuple[Any, ...]] = {
    "imagename": ("a", "b", "image", "dir/c.qcow2"), "arch": ("amd64", "arm64", "x86_64", "mips"),
    "types": (["qcow2"], ["raw", "tar"], [], ["vmdk"], "qcow2"), "ramdisk": (True, False, "yes"),
    "environment": ({"A": "1"}, {"B": "it's $HOME"}, {"A": 1}, {}, {"C": ""}), "debug-trace": (0, 1, 2, 3, True),
    "uncompressed": (True, False), "clear": (True,), "logfile": ("x.log", ""), "checksum": (True, False, 1),
    "image-size": (1, 10, 0, 2.5, "3"), "image-extra-size": (1, 2), "image-cache": ("/tmp/x y",),
    "max-online-resize": (274877906944,), "min-tmpfs": (4,), "mkfs-journal-size": (64, -1),
    "mkfs-options": ("-m 1", ""),
    "no-tmpfs": (True, False), "offline": (True,), "qemu-img-options": ({"a": "b", "c": "d"}, {}, {"a": 1}),
    "root-label": ("root", "no"), "ramdisk-element": ("dracut-ramdisk",),
    "install-type": ("source", "package", "other"),
    "docker-target": ("repo:tag",), "packages": (["a"], ["b", "c"], []), "skip-base": (True, False),
    "elements": (["vm", "my-element"], ["debian-minimal"], ["other"], [], ["a b"]), "no-such-key": (1,),
}
RARE = ("no-such-key",)


def entry(dice: random.Random) -> dict[str, Any]:
    """An image's settings, at random; mostly right ones."""
    keys = dice.sample([key for key in VALUES if key not in RARE], dice.randint(0, 6))
    keys += ["elements"] * (dice.random() < 0.7) + ["imagename"] * (dice.random() < 0.4)
    keys += list(RARE) * (dice.random() < 0.02)
    return copy.deepcopy({key: dice.choice(VALUES[key][:2] if dice.random() < 0.85 else VALUES[key]) for key in keys})


def ours(names: list[str]) -> Any:
    """The command lines, each a program, its arguments, and its variables."""
    try:
        made = builds([(name, Path(name).read_bytes()) for name in names])
    except PydibError:
        return "refused"
    return [(image.program, list(image.arguments), dict(image.environment)) for image in made]


def theirs(answer: dict[str, Any]) -> Any:
    """The same of the oracle's."""
    if answer["code"]:
        return "refused"
    commands = []
    for line in answer["err"].split("\n\n"):
        words = shlex.split(line)
        at = words.index("bash") if "bash" in words else 0
        if words:
            commands.append((Path(words[at + 1]).name, words[at + 2:], dict(word.split("=", 1) for word in words[:at])))
    return commands


@pytest.mark.family("YAML command lines")
@pytest.mark.contract("C-039", verdict="bettered", note="an element named by two fragments counts once")
@pytest.mark.contract("C-032", "C-033", "C-034", "C-035", "C-036", "C-037")
def test_command_lines(family: Family, python_oracle: PythonOracle, tmp_path: Path) -> None:
    dice = random.Random(16)
    cases = []
    for number in range(400):
        files = []
        for which in range(dice.choice((1, 1, 1, 2))):
            path = tmp_path / f"{number}-{which}.yaml"
            content: Any = [entry(dice) for _ in range(dice.randint(0, 4))]
            if dice.random() < 0.03:
                content = dice.choice((None, {"elements": ["vm"]}, ["vm"], "text", 3))
            path.write_text(yaml.safe_dump(content))
            files.append(str(path))
        cases.append({"files": files})
    for case, answer in zip(cases, python_oracle.ask("yaml_command", cases), strict=True):
        shown = {name: Path(name).read_text() for name in case["files"]}
        family.compare(shown, theirs(answer), ours(case["files"]))
    family.finish()
