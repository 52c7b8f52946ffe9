"""Why a script runs: the very input that differs from the last time. Pure.

>>> environment_change({"A": "1"}, {"A": "2"})
'environment A: 1 -> 2'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydib.layer.records import Outcome, State

NO_LAYER_YET = "no layer yet"
_LONGEST = 60


@dataclass(frozen=True, kw_only=True)
class Now:
    """What is known of a script that is about to run. `inputs` as in Outcome; `chain` the states it builds on."""

    inputs: Mapping[str, str]
    chain: Sequence[State]
    ran: Iterable[str] = ()


def why_new(now: Now, earlier: Sequence[Outcome], fact: Callable[[str], Any],
            chain: Callable[[str], Sequence[State] | None]) -> str:
    """Why no layer has the inputs of `now`.

    Args:
        earlier: outcomes of the same script, the newest first.
        fact: what stands behind a digest, or None.
        chain: the states up to the one of that name, or None.
    """
    if not earlier:
        return NO_LAYER_YET
    closest = min(earlier, key=lambda outcome: len(_differing(outcome.inputs, now.inputs)))
    differing = _differing(closest.inputs, now.inputs)
    if not differing:
        return NO_LAYER_YET
    reasons = [_one(name, closest.inputs.get(name, ""), now.inputs.get(name, ""), fact, chain, now)
               for name in ORDER if name in differing]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "its inputs changed"


ORDER = ("script", "mode", "link", "phase", "fingerprint", "environment", "names", "directory", "umask", "arguments",
         "engine", "machine", "tree")
"""Inputs, the most telling first. The tree comes last: what it builds on is told by the script that ran before."""


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def _one(name: str, old: str, new: str, fact: Callable[[str], Any], chain: Callable[[str], Sequence[State] | None],
         now: Now) -> str:
    match name:
        case "script":
            return "the script changed"
        case "mode" | "umask" | "directory" | "link":
            return f"{_WORDS[name]}: {old} -> {new}"
        case "phase" | "arguments" | "engine" | "machine":
            return f"{_WORDS[name]} changed"
        case "environment":
            return environment_change(fact(old), fact(new))
        case "names":
            return names_change(fact(old), fact(new))
        case "fingerprint":
            return fingerprint_change(fact(old), fact(new))
        case "tree":
            return tree_change(chain(old), now.chain, frozenset(now.ran))
    return ""


_WORDS = {"mode": "the script's mode", "umask": "umask", "directory": "working directory", "link": "the script's link",
          "phase": "the phase file", "arguments": "the list of packages", "engine": "pydib",
          "machine": "the machine"}


def environment_change(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> str:
    """`environment DIB_RELEASE: bookworm -> trixie`, and how many others."""
    if old is None or new is None:
        return "the environment changed"
    changed = sorted((name for name in {*old, *new} if old.get(name) != new.get(name)), key=_what_a_user_knows)
    if not changed:
        return "the environment changed"
    first = changed[0]
    more = f" (and {len(changed) - 1} more: {' '.join(changed[1:4])})" if len(changed) > 1 else ""
    return f"environment {first}: {_value(old.get(first))} -> {_value(new.get(first))}{more}"


def _what_a_user_knows(name: str) -> tuple[bool, bool, str]:
    """Order: variables of the caller's or of environment.d, then what the engine makes of them, then functions."""
    return name.startswith("BASH_FUNC_"), name.startswith(("IMAGE_ELEMENT", "DIB_ENV", "DIB_ARGS")), name


def _value(value: str | None) -> str:
    if value is None:
        return "(unset)"
    if value.startswith("secret:"):
        return "(secret)"
    line = value.replace("\n", "\\n")
    return (line if len(line) <= _LONGEST else line[:_LONGEST - 3] + "...") or '""'


def names_change(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> str:
    """`files/foo.conf is new in the hook tree`, and how many others."""
    if old is None or new is None:
        return "other files are in the hook tree"
    changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    if not changed:
        return "other files are in the hook tree"
    first = changed[0]
    what = "is new in" if first not in old else "is no longer in" if first not in new else "has another mode or link in"
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"{first} {what} the hook tree{more}"


def fingerprint_change(old: Any, new: Any) -> str:
    """What an element's fingerprint says of the outside world, before and now: the first line that differs."""
    before, now = (str(text or "").splitlines() for text in (old, new))
    for line in now:
        if line not in before:
            return f"the outside world changed (fingerprint): {_value(line)}"
    return "the outside world changed (fingerprint)"


def tree_change(old: Sequence[State] | None, new: Sequence[State], ran: frozenset[str]) -> str:
    """Which of the steps that it builds on differs from the last time."""
    if old is None:
        return "what it builds on changed"
    for before, now in zip(old, new, strict=False):
        if before.id == now.id:
            continue
        if now.made_by in ran:
            return f"it builds on {now.made_by}, which ran"
        if now.made_by == before.made_by:
            return f"it builds on {now.made_by}, which left something else"
        names = {state.made_by for state in new}
        return (f"it builds on {now.made_by}" if before.made_by in names
                else f"it no longer builds on {before.made_by}")
    if len(new) > len(old):
        return f"it builds on {new[len(old)].made_by}"
    if len(old) > len(new):
        return f"it no longer builds on {old[len(new)].made_by}"
    return "what it builds on changed"


def trace_change(script: str, changed: Sequence[str]) -> str:
    """`files/foo.conf, read by install.d/20-foo, changed`, and how many others."""
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"{changed[0]}, read by {script}, changed{more}"
