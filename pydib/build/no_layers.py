"""What takes the place of layers in a build that keeps none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydib.phase.phases import Phase
from pydib.runner.phase import Choice, KeepsNothing


class NoLayers(KeepsNothing):
    """A build without layers: every script runs in a plain directory."""

    active = False
    skeleton = False

    def hooks_are_made(self) -> None:
        """Nothing to do."""

    def enter(self, phase: Phase) -> None:
        """Nothing to do."""

    def leave(self) -> None:
        """Nothing to do."""

    def ready(self) -> None:
        """Nothing to do."""

    def settle(self, author: str, phase: str = "") -> None:
        """Nothing to do."""

    def adopt(self) -> None:
        """Nothing to do."""

    def choose_packages(self, names: Sequence[str], env: Mapping[str, str]) -> Choice:
        """They are installed."""
        return Choice()

    def kept_bytes(self) -> int:
        """None."""
        return 0

    def memo(self, question: str, answer: Callable[[], int]) -> int:
        """The answer, found out now."""
        return answer()

    def move_to(self, place: Path) -> None:
        """Nothing to do."""

    def finish(self, *, failed: bool = False) -> None:
        """Nothing to do."""
