"""`disk-image-create` and `ramdisk-image-create`: odd and bad command lines (contract sections 1 and 6).

CASES is also run through diskimage-builder itself, in tests/contract/test_command_lines.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pydib import __version__
from pydib.cli import drop_in

DISK, RAMDISK = "disk-image-create", "ramdisk-image-create"


@dataclass(frozen=True)
class Case:
    """A command line.

    Args:
        arguments: after the program's name.
        code: its exit code.
        err: the beginning of what it writes to stderr; empty when it says nothing before the log begins.
        out: the beginning of what it writes to stdout.
        elements: for one that fails only when elements are resolved, what the log says is being built.
        bettered: why diskimage-builder's own answer is another one.
    """

    arguments: tuple[str, ...]
    code: int = 1
    err: str = ""
    out: str = ""
    elements: str = ""
    program: str = DISK
    env: Mapping[str, str] = field(default_factory=dict)
    bettered: str = ""

    def __str__(self) -> str:
        return " ".join([*map("{}={}".format, self.env, self.env.values()), self.program, *map(repr, self.arguments)])


def wrong(*arguments: str, program: str = DISK, bettered: str = "") -> Case:
    """A command line that is refused on stderr."""
    return Case(arguments, err=f"{program}: ", program=program, bettered=bettered)


def fine(*arguments: str, elements: str = "base nosuch", program: str = DISK, bettered: str = "", **env: str) -> Case:
    """A command line without fault, but that its element does not exist."""
    return Case(arguments, out="diskimage-builder version ", elements=elements, program=program, env=env,
                bettered=bettered)


STDERR = "what is wrong with the command line is told on stderr"
CASES = (
    # C-008: one line on stderr
    wrong("--nonsense", "x"), wrong("x", "--nonsense"), wrong("x", "-o"), wrong("x", "-Z"), wrong("x", "--image-size"),
    wrong("x", "--image", "5"), wrong("x", "--offline=yes"), wrong("x", "-h=3"), wrong("x", "-image-size", "3"),
    wrong("nosuch", "--help", "--nonsense"), wrong("--frob", program=RAMDISK), wrong("x", "--m"),
    # C-010
    wrong(bettered=STDERR), wrong("", bettered=STDERR), wrong("", " ", bettered=STDERR), wrong("-n", bettered=STDERR),
    # C-009: before any check
    *(Case(arguments, code=0, out="Usage: disk-image-create ") for arguments in (
        ("-h",), ("--help",), ("--hel",), ("x", "-h"), ("--image-size", "abc", "-h"), ("-xh",),
        ("--help", "--version"))),
    *(Case(arguments, code=0, out="VERSION") for arguments in (
        ("--version",), ("--vers",), ("nosuch", "--version"), ("--version", "--help"), ("-t", "", "--version"))),
    Case(("--help",), code=0, out="Usage: ramdisk-image-create ", program=RAMDISK),
    # C-004, C-005, C-011: order, abbreviations, --, empty arguments
    fine("nosuch"), fine("nosuch", "-n", elements="nosuch"), fine("-n", "nosuch", "-x", elements="nosuch"),
    fine("nosuch", "--", "vm", elements="base nosuch vm block-device-mbr"), fine("--", "nosuch"),
    fine("nosuch", "--", "-n", elements="base nosuch -n", bettered="-n is an element like any other that is not there"),
    fine("", "nosuch", "", "other", elements="base nosuch other"),
    fine("base vm nosuch", elements="base vm nosuch block-device-mbr",
         bettered="an element that is named twice counts once"),
    fine("", "-o", "amphora", "", "vm nosuch", "", elements="base vm nosuch block-device-mbr"),
    fine("-oX", "-tx,y", "-aamd64", "-xx", "-unp", "a", "nosuch", elements="nosuch"),
    fine("nosuch", "--no-tmp"), fine("nosuch", "--no"), fine("nosuch", "--image-s", "5"), fine("nosuch", "--image-s=5"),
    fine("nosuch", "--off"),
    fine("nosuch", "--mkfs", "-m 0"), fine("nosuch", "--ro", "r"),
    fine("nosuch", "-p", ""), fine("nosuch", "-p", "a,b", "-p", "c"), fine("nosuch", "-a", "arm64"),
    fine("nosuch", "--min-tmpfs", "0"), fine("nosuch", "-t", "vmdk,qed"), fine("nosuch", "--docker-target", ""),
    fine("nosuch", "-t", "docker"), fine("nosuch", "--install-type", "other"), fine("nosuch", "--logfile", ""),
    fine("-", "nosuch", elements="base - nosuch", bettered="- is an element like any other that is not there"),
    # C-012, C-063, C-064
    fine("nosuch", IMAGE_ELEMENT="first", elements="base first nosuch"),
    fine("nosuch", SKIP_BASE="1", elements="nosuch"), fine("nosuch", SKIP_BASE="0"),
    fine("nosuch", "vm", "-a", "arm64", elements="base nosuch vm block-device-efi"),
    fine("nosuch", "vm", "block-device-gpt", elements="base nosuch vm block-device-gpt"),
    fine("nosuch", LOGFILE="/no/such/folder/log"), fine("nosuch", POSIXLY_CORRECT="1"),
    fine("nosuch", program=RAMDISK, elements="ramdisk base nosuch"),
    fine("nosuch", "-n", "--ramdisk-element", "dracut-ramdisk", program=RAMDISK, elements="dracut-ramdisk nosuch"),
    # C-006, C-007, C-016, C-022: where diskimage-builder refuses what it documents, or goes on with nonsense
    fine("nosuch", "--image-extra-size", "5", bettered="it is documented"),
    fine("nosuch", "--mkfs-journal-size", "5", bettered="it is documented"),
    fine("nosuch", "--image-e", "5", bettered="it is documented"), fine("-c", "nosuch", bettered="-c works"),
    wrong("nosuch", "-t", "", bettered="no type is no image"),
    wrong("nosuch", "-t", "a/b", bettered="not a file's ending"),
    wrong("nosuch", "--image-size=", bettered="not a number"),
    wrong("x", "--image-size", "big", bettered="not a number"),
    wrong("nosuch", "-o", "", bettered="no file's name"),
    wrong("nosuch", "-o", "folder/", bettered="no file's name"),
    wrong("nosuch", "--min-tmpfs", "1.5", bettered="not a whole number"),
)


def call(case: Case, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run our program as that command."""
    entry = case.program.replace("-", "_")
    code = f"import sys; sys.argv[0] = '/bin/{case.program}'; from pydib.cli.drop_in import {entry} as main; main()"
    return subprocess.run([sys.executable, "-c", code, *case.arguments], cwd=folder, text=True, check=False,
                          env=environment(folder, **case.env), stdin=subprocess.DEVNULL, capture_output=True)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of the tester's own that could have a say."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "DIB_NO_TIMESTAMP": "1", **more}


@pytest.mark.contract("C-003", "C-004", "C-005", "C-008", "C-009", "C-010", "C-011", "C-012", "C-020", "C-063", "C-064",
                      "C-065", "C-183")
@pytest.mark.contract("C-006", "C-007", verdict="bettered", note="what is documented works")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_command_line(case: Case, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
                      ) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", environment(tmp_path, **case.env))
    assert drop_in.main(case.arguments, name=case.program) == case.code
    out, err = capfd.readouterr()
    assert out.startswith(case.out.replace("VERSION", f"{__version__}\n"))
    assert err.startswith(case.err)
    assert "Traceback" not in out + err
    if case.elements:
        assert out.splitlines()[1] == f"Building elements: {case.elements}"
        assert "not found" in out
    elif case.code:
        assert out == ""
    else:
        assert err == ""
    assert {path.name for path in tmp_path.iterdir()} == set()


def test_a_usage_error_is_one_line(tmp_path: Path) -> None:
    done = call(wrong("--frob"), tmp_path)
    assert done.stderr == "disk-image-create: option --frob not recognized; --help lists the options\n"


@pytest.mark.contract("C-003")
@pytest.mark.parametrize(("program", "default", "name"), [
    ("/usr/bin/ramdisk-image-create", DISK, RAMDISK), ("disk-image-create", RAMDISK, DISK), ("/x/other", DISK, DISK),
    ("-c", RAMDISK, RAMDISK),
])
def test_the_name_of_the_program_decides(program: str, default: str, name: str) -> None:
    assert drop_in.called_name(program, default) == name


QUIET, LINES, STAMPED = "nothing", "plain lines", "lines with times"


@pytest.mark.contract("C-180", "C-181", "C-183")
@pytest.mark.parametrize(("env", "logfile", "stdout"), [
    ({}, False, STAMPED), ({"DIB_NO_TIMESTAMP": "1"}, False, LINES), ({"DIB_NO_TIMESTAMP": "0"}, False, STAMPED),
    ({"DIB_NO_TIMESTAMP": "yes"}, False, STAMPED), ({"DIB_QUIET": "1"}, False, QUIET),
    ({"DIB_QUIET": "0"}, False, STAMPED), ({"DIB_QUIET": "yes"}, False, STAMPED),
    ({}, True, QUIET), ({"DIB_QUIET": ""}, True, QUIET),
    ({"DIB_QUIET": "1"}, True, QUIET), ({"DIB_QUIET": "0"}, True, STAMPED),
    ({"DIB_QUIET": "0", "DIB_NO_TIMESTAMP": "1"}, True, LINES),
])
def test_where_the_log_goes(env: dict[str, str], logfile: bool, stdout: str, tmp_path: Path) -> None:
    given = {"DIB_NO_TIMESTAMP": "", **env}
    (tmp_path / "log").write_text("earlier\n")
    done = call(fine("nosuch", *(["--logfile", "log"] if logfile else []), **given), tmp_path)
    lines = done.stdout.splitlines()
    if logfile:
        assert lines.pop(0) == "Output logs going to: log"
        earlier, *log = (tmp_path / "log").read_text().splitlines()
        assert earlier == "earlier"
        assert all(STAMP.match(line) for line in log)
        assert "Building elements: base nosuch" in log[1]
    else:
        assert (tmp_path / "log").read_text() == "earlier\n"
    assert bool(lines) is (stdout != QUIET)
    assert all(bool(STAMP.match(line)) is (stdout == STAMPED) for line in lines)


STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| ")


@pytest.mark.contract("C-183", verdict="bettered", note="why a build cannot begin stands in the log, and "
                      "on stderr where that is another place")
def test_a_refusal_is_told_once_where_the_streams_are_one(tmp_path: Path) -> None:
    code = "from pydib.cli.drop_in import disk_image_create as main; main()"
    done = subprocess.run([sys.executable, "-c", code, "nosuch"], env=environment(tmp_path), text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.stdout.count("Element 'nosuch' not found") == 1


def test_a_refusal_is_told_on_stderr_when_the_log_is_in_a_file(tmp_path: Path) -> None:
    done = call(fine("nosuch", "--logfile", "log"), tmp_path)
    assert done.stderr.startswith("disk-image-create: Element 'nosuch' not found")
    assert "Element 'nosuch' not found" in (tmp_path / "log").read_text()


@pytest.mark.contract("C-181", verdict="bettered", note="a log that cannot be written is told in one message")
@pytest.mark.parametrize("name", ["no/such/folder/log", "."])
def test_a_log_that_cannot_be_written(name: str, tmp_path: Path) -> None:
    done = call(fine("nosuch", "--logfile", name), tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"disk-image-create: --logfile {name} cannot be written")
    assert "Traceback" not in done.stderr


@pytest.mark.machine
@pytest.mark.contract("C-030", "C-064", verdict="kept")
@pytest.mark.contract("C-018", verdict="bettered", note="a ramdisk needs no qemu-img, since no image is converted")
def test_a_ramdisk_has_its_element_and_no_image(tmp_path: Path, fixtures: Path) -> None:
    script = tmp_path / "shelf/my-ramdisk/cleanup.d/99-save"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/bash\nset -eu\necho "$IMAGE_ELEMENT" > "$IMAGE_NAME.initramfs"\n')
    script.chmod(0o755)
    case = fine("-n", "-o", "ram", "--ramdisk-element", "my-ramdisk", "tiny-os", program=RAMDISK,
                ELEMENTS_PATH=f"{tmp_path}/shelf:{fixtures}/elements")
    done = call(case, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"shelf", "ram.initramfs", ".cache"}
    assert set((tmp_path / "ram.initramfs").read_text().split()) == {"my-ramdisk", "tiny-os"}
