"""Looking a script up: does an earlier outcome still stand? Pure; what must be asked of the world is given in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydib.layer.explain import environment_change, trace_change
from pydib.layer.records import Outcome

DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How old outcomes may be.

    Args:
        now: seconds since 1970.
        max_age: seconds that any outcome is good for; None: as each says, a day or for ever.
        offline: whether those that expire after a day are good, too: nothing newer can be had.
    """

    now: float
    max_age: float | None = None
    offline: bool = False

    def objection(self, outcome: Outcome) -> str:
        """Why `outcome` is too old; empty when it is not."""
        age = self.now - outcome.created
        limit = self.max_age
        if limit is None and outcome.expires and not self.offline:
            limit = DAY_SECONDS
        if limit is None:
            return ""
        if age < -60:
            return "its layer is from the future: the clock was set back"
        if age > limit:
            without = outcome.expires and self.max_age is None
            return f"its layer is {_age(age)} old" + (
                f", and {outcome.element or 'its element'} has no fingerprint" if without else "")
        return ""


def _age(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours" if hours >= 2 else f"{seconds:.0f} seconds"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The outcome that stands, or why none does (empty when there was none to look at)."""

    outcome: Outcome | None = None
    objection: str = ""


def look_up(outcomes: Sequence[Outcome], *, volatile: Mapping[str, str], digest_now: Callable[[str], str],
            limits: Limits, usable: Callable[[str], str]) -> Found:
    """The first of `outcomes` that still stands.

    Args:
        volatile: variables that count only where named, as they are now.
        digest_now: the digest of a traced path as it is now.
        usable: why the state of that name cannot be used; empty when it can.
    """
    objections = []
    for outcome in outcomes:
        objection = (outcome.not_reusable or _traced(outcome, digest_now) or _named(outcome, volatile)
                     or limits.objection(outcome) or usable(outcome.after))
        if not objection:
            return Found(outcome=outcome)
        objections.append(objection)
    return Found(objection=objections[0] if objections else "")


def _traced(outcome: Outcome, digest_now: Callable[[str], str]) -> str:
    changed = [path for path, digest in outcome.trace.items() if digest_now(path) != digest]
    return trace_change(outcome.script, changed) if changed else ""


def _named(outcome: Outcome, volatile: Mapping[str, str]) -> str:
    now = {name: volatile[name] for name in outcome.named if name in volatile}
    return environment_change(outcome.named, now) if now != outcome.named else ""
