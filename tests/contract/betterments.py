"""Where we differ from diskimage-builder on purpose: each difference with its reason."""

from __future__ import annotations

from typing import Any

from tests.contract.compare import Betterment

Outcome = dict[str, Any]
MISSING, CONFLICT = {"error": "MissingElementException"}, {"error": "AlreadyProvidedException"}


def _named_twice(case: Outcome, theirs: Outcome, ours: Outcome) -> bool:
    return len(set(case["wanted"])) < len(case["wanted"]) and ours in theirs["each once"]


def _two_mistakes(case: Outcome, theirs: Outcome, ours: Outcome) -> bool:
    return ours == CONFLICT and MISSING in theirs["each once"]


RESOLVERS = ("resolver, real elements", "resolver, generated elements")

BETTERMENTS: tuple[Betterment, ...] = (
    *(Betterment(family, "named twice", "a name given twice counts once, also when it provides something (C-055)",
                 _named_twice) for family in RESOLVERS),
    *(Betterment(family, "two mistakes", "of several mistakes we tell the conflict first: a missing element might still "
                 "have been provided (C-061)", _two_mistakes) for family in RESOLVERS),
    Betterment("elements path", "empty entries", "an empty entry of ELEMENTS_PATH is ignored (C-050)",
               lambda case, theirs, ours: "" in case.split(":") and "elements" in ours),
    Betterment("defaults", "each once", "a name given twice counts once (C-055)",
               lambda case, theirs, ours: list(dict.fromkeys(theirs)) == ours),
)
