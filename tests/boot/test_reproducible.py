"""`debian-minimal vm` twice: by root, and by an ordinary user elsewhere, later, with another locale and umask. The raw
and qcow2 images are the same to the bit. And the engine takes no more memory than it may."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import figures
from tests.machine.test_memory import MOST_BYTES
from tests.machine.test_reproducible import build
from tests.ordinary_user import ordinary_user

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
WORDS = ("-t", "raw,qcow2", "--events", "events", "debian-minimal", "vm")
RELEASE = {"DIB_RELEASE": "bookworm"}


def test_debian_of_root_and_of_a_user_is_the_same(tmp_path: Path) -> None:
    usual = build(tmp_path, "--no-cache", *WORDS, env=RELEASE)
    with ordinary_user() as user:
        assert build(user.home, *WORDS, env={**RELEASE, "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}, user=user,
                     umask=0o077) == usual
        assert build(user.home, *WORDS, env=RELEASE, user=user) == usual, "handed out again"
        peaks = {"root": _peaks(tmp_path), "a user": _peaks(user.home)}
    figures.append("memory of the engine, debian-minimal vm by " + "; by ".join(
        f"{who}: " + ", ".join(f"{peak / 1e6:.0f} MB" for peak in found) for who, found in peaks.items()))
    assert [len(found) for found in peaks.values()] == [1, 2]
    assert all(10_000_000 < peak < MOST_BYTES for found in peaks.values() for peak in found)


def _peaks(place: Path) -> list[int]:
    """What each build there has told of the engine's memory."""
    told = [json.loads(line) for line in (place / "events").read_text().splitlines()]
    return [line["peak_bytes"] for line in told if line["event"] == "BuildFinished"]
