"""`pydib doctor`: the findings, and the exit code."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pydib.cli.doctor import as_text, command
from pydib.verify import machine
from pydib.verify.machine import Finding

THERE = Finding(name="qemu-img", ok=True, detail="/usr/bin/qemu-img", needed_for="formats", required=True)
EXTRA = Finding(name="vfat", ok=False, detail="unknown", needed_for="EFI", remedy="another kernel")
NEEDED = Finding(name="sfdisk", ok=False, detail="not installed", needed_for="tables", remedy="apt-get install fdisk",
                 required=True)


@pytest.mark.parametrize(("findings", "code", "verdict"), [
    ((THERE,), 0, "All is there."),
    ((THERE, EXTRA), 0, "Builds work here."),
    ((THERE, EXTRA, NEEDED), 1, "Builds do not work here yet"),
])
def test_the_verdict(monkeypatch: pytest.MonkeyPatch, findings: tuple[Finding, ...], code: int, verdict: str) -> None:
    monkeypatch.setattr(machine, "examine", lambda: findings)
    done = CliRunner().invoke(command, [], standalone_mode=False)
    assert done.return_value == code
    assert verdict in done.stdout


def test_what_is_needed_comes_before_what_is_not() -> None:
    text = as_text([EXTRA, NEEDED, THERE])
    assert text.index("qemu-img") < text.index("MISSING  sfdisk") < text.index("missing  vfat")
    assert "next: apt-get install fdisk\n" in text


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "examine", lambda: (EXTRA,))
    found = json.loads(CliRunner().invoke(command, ["--json"]).stdout)
    assert found == [{"name": "vfat", "ok": False, "detail": "unknown", "needed_for": "EFI", "remedy": "another kernel",
                      "required": False}]
