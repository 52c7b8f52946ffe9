"""The notes of runs with `--record-boots`: which of the longest tests passed, when, for which files of an element."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BOOTS = Path(__file__).with_name("boots.json")
Noted = Mapping[str, Mapping[str, Mapping[str, str]]]
"""By test: by element: `date`, and `digest` of its files then."""


def boots() -> Noted:
    """The notes of runs with `--record-boots`."""
    return json.loads(BOOTS.read_text(encoding="utf-8")) if BOOTS.exists() else {}  # type: ignore[no-any-return]


def digest(element: str) -> str:
    """What an element does, as a word: of its files, without its page and its tests."""
    folder, total = ROOT / "elements" / element, hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in ("README.rst", "tests") and "__pycache__" not in name.parts:
            total.update(f"{name} {path.stat().st_mode & 0o111:o}\n".encode() + path.read_bytes() + b"\n")
    return total.hexdigest()[:16]


def result(element: str, tests: Iterable[str], noted: Noted) -> str:
    """What the table says of tests that prove an element: that `make test` runs one, or when a long one passed."""
    notes = [noted.get(test, {}).get(element) for test in tests]
    if not notes:
        return ""
    if None in notes:
        return "each run"
    last = max((note for note in notes if note), key=lambda note: note["date"])
    return last["date"] + ("" if last["digest"] == digest(element) else ", changed since")
