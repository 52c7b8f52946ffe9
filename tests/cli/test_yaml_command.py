"""`diskimage-builder`: what it shows, what it starts, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pydib.cli import drop_in, yaml_command

PROGRAM = [sys.executable, "-c", "from pydib.cli.yaml_command import run; run()"]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Writes a build file; gives its path."""
    def write(text: str) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(text)
        return str(path)
    return write


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], str | None]]:
    """Builds that are only noted: program, arguments, the variable PROBE. An element `fails-N` ends with N."""
    calls: list[tuple[str, list[str], str | None]] = []

    def main(arguments: tuple[str, ...], *, name: str, own_environment: dict[str, str]) -> int:
        calls.append((name, list(arguments), os.environ.get("PROBE")))
        assert own_environment.items() <= os.environ.items()
        return int(arguments[-1].removeprefix("fails-")) if arguments[-1].startswith("fails-") else 0

    monkeypatch.setattr(drop_in, "main", main)
    return calls


@pytest.mark.contract("C-037", verdict="bettered", note="the line names our own command, for pasting")
def test_dry_run_shows_the_commands_on_stderr_and_builds_nothing(
        written: Callable[[str], str], started: list[object], capfd: pytest.CaptureFixture[str]) -> None:
    files = [written("- {imagename: a, elements: [x], environment: {A: it's}}"),
             written("- {imagename: b, ramdisk: on}")]
    assert yaml_command.main(["--dry-run", *files]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "A='it'\"'\"'s' disk-image-create -o a x\n\nramdisk-image-create -o b\n\n"
    assert started == []


@pytest.mark.contract("C-038")
def test_a_failure_does_not_stop_the_others(written: Callable[[str], str], started: list[object],
                                            capfd: pytest.CaptureFixture[str]) -> None:
    name = written("- {imagename: a, elements: [fails-42]}\n- {imagename: b}\n- {imagename: c, elements: [fails-1]}")
    assert yaml_command.main([name]) == 1
    assert len(started) == 3
    err = capfd.readouterr().err
    assert "2 of 3 images failed: a (exit code 42), c (exit code 1)" in err
    assert "Traceback" not in err


@pytest.mark.contract("C-038")
def test_stop_on_failure(written: Callable[[str], str], started: list[object]) -> None:
    name = written("- {imagename: a}\n- {imagename: b, elements: [fails-3]}\n- {imagename: c}")
    assert yaml_command.main(["--stop-on-failure", name]) == 1
    assert len(started) == 2


@pytest.mark.contract("C-038")
def test_success(written: Callable[[str], str], started: list[object]) -> None:
    assert yaml_command.main([written("- {imagename: a}\n- {imagename: b}")]) == 0
    assert started == [("disk-image-create", ["-o", "a"], None), ("disk-image-create", ["-o", "b"], None)]


@pytest.mark.contract("C-040")
def test_variables_are_for_one_image_only(written: Callable[[str], str], started: list[tuple[str, list[str], str]],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE", "caller")
    name = written("- {imagename: a, environment: {PROBE: own, MORE: x}}\n- {imagename: b, ramdisk: yes}")
    assert yaml_command.main([name]) == 0
    assert [(program, probe) for program, _, probe in started] == [
        ("disk-image-create", "own"), ("ramdisk-image-create", "caller")]
    assert os.environ["PROBE"] == "caller"
    assert "MORE" not in os.environ


def test_a_signal_to_a_build_is_the_end_of_all(written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch,
                                               capfd: pytest.CaptureFixture[str]) -> None:
    calls = []

    def main(arguments: object, **_: object) -> int:
        calls.append(arguments)
        before = signal.signal(signal.SIGTERM, lambda *_: None)  # as the engine does while it builds
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
        return 143

    monkeypatch.setattr(drop_in, "main", main)
    assert yaml_command.main([written("- {imagename: a}\n- {imagename: b}")]) == 143
    assert len(calls) == 1


def test_a_script_that_ends_like_a_signal_is_a_failure_as_any_other(
        written: Callable[[str], str], started: list[object]) -> None:
    assert yaml_command.main([written("- {imagename: a, elements: [fails-143]}\n- {imagename: b}")]) == 1
    assert len(started) == 2


@pytest.mark.contract("C-031")
@pytest.mark.parametrize(("arguments", "code", "message"), [
    ([], 2, "Missing argument"), (["--frob", "x"], 2, "No such option"), (["/no/such/file.yaml"], 1, "No such file"),
    (["/"], 1, "Is a directory"),
])
def test_wrong_usage(arguments: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert yaml_command.main(arguments) == code
    out, err = capfd.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.contract("C-032")
def test_a_mistake_anywhere_stops_before_the_first_build(written: Callable[[str], str], started: list[object],
                                                         capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = written("- {imagename: a}"), written("- imagename: b\n  image-size: big\n")
    assert yaml_command.main([good, bad]) == 1
    assert started == []
    assert f"{bad}, line 2, entry 1 (b)" in capfd.readouterr().err


def test_help_names_all_settings(capfd: pytest.CaptureFixture[str]) -> None:
    assert yaml_command.main(["--help"]) == 0
    text = " ".join(capfd.readouterr().out.split()).replace("- ", "-")
    assert all(name in text for name in ("mkfs-journal-size", "docker-target", "skip-base"))


BUILDS = """
- {imagename: OUT/one, types: [raw], skip-base: true, elements: [tiny-os, probe], environment: {PROBE: "a b"}}
- {imagename: OUT/two, types: [raw], skip-base: true, elements: [no-such-element]}
- {imagename: OUT/three, ramdisk: true, ramdisk-element: probe, skip-base: true, elements: [tiny-os], clear: true,
   environment: {PROBE: kept}}
"""


@pytest.mark.machine
@pytest.mark.contract("C-030", "C-038", "C-040")
def test_real_builds_one_after_another(tmp_path: Path, fixtures: Path) -> None:
    script = tmp_path / "elements/probe/extra-data.d/10-probe"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\necho "${{PROBE-unset}} ${{CALLERS-unset}}" >> {tmp_path}/probes\n')
    script.chmod(0o755)
    (tmp_path / "builds.yaml").write_text(BUILDS.replace("OUT", str(tmp_path)))
    env = {**os.environ, "ELEMENTS_PATH": f"{tmp_path}/elements:{fixtures}/elements", "HOME": str(tmp_path),
           "TMPDIR": str(tmp_path), "CALLERS": "yes"}
    done = subprocess.run([*PROGRAM, "builds.yaml"], env=env, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (tmp_path / "probes").read_text() == "a b yes\nkept unset\n"
    assert {path.name for path in tmp_path.iterdir()} == {"builds.yaml", "elements", "probes", "one.raw", ".cache"}
    assert "1 of 3 images failed" in done.stderr
    assert "no-such-element" in done.stderr


@pytest.mark.machine
def test_ctrl_c_ends_the_build_and_begins_no_other(tmp_path: Path, fixtures: Path) -> None:
    script = tmp_path / "elements/slow/root.d/90-slow"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\necho begun >> {tmp_path}/begun\nexec sleep 60\n")
    script.chmod(0o755)
    settings = "types: [raw], skip-base: true, elements: [tiny-os, slow]"
    (tmp_path / "b.yaml").write_text(f"- {{imagename: a, {settings}}}\n- {{imagename: b, {settings}}}\n")
    env = {**os.environ, "ELEMENTS_PATH": f"{tmp_path}/elements:{fixtures}/elements", "HOME": str(tmp_path),
           "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([*PROGRAM, "b.yaml"], env=env, cwd=tmp_path, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not ((tmp_path / "begun").exists() and (tmp_path / "begun").stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (tmp_path / "begun").read_text() == "begun\n"
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"b.yaml", "elements", "begun", ".cache"}
