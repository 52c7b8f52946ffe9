"""Opening the layers of a build: with a store that can be used, or without."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pydib import events
from pydib.build.decide import Order
from pydib.build.layers import Layers
from pydib.build.no_layers import NoLayers
from pydib.host import overlay
from pydib.host.script import Launcher
from pydib.layer.store import Store, StoreUnusable
from pydib.layer.upkeep import sweep

LEAST_FREE_BYTES = 1 << 30
"""With less room on the store's disk the build does without layers."""


def open_layers(order: Order, launcher: Launcher, report: events.Reporter, stack: ExitStack) -> NoLayers | Layers:
    """The layers of a build, with an empty tree mounted; without them, and a warning, where they cannot be kept."""
    recipe = order.prepared.recipe
    if not recipe.layers:
        return NoLayers()
    inside = ExitStack()
    try:
        store = inside.enter_context(Store(recipe.image_cache / "layers", ahead=order.looked_ahead))
        sweep(store)
        _check_store(store, order.layout.mount)
        made = Layers(order, store, launcher, report, inside)
    except (StoreUnusable, OSError) as error:
        inside.close()
        told = str(error).replace("\n", "; ") if isinstance(error, StoreUnusable) else f"{error.strerror or error}"
        report(events.Warned(text=f"no layers are used or kept: {told}"))
        return NoLayers()
    stack.push(inside)
    return made


def _check_store(store: Store, scratch: Path) -> None:
    problem = overlay.is_capable(store.folder / "w", scratch)
    if problem:
        raise StoreUnusable(f"its filesystem cannot hold layers: {problem}", where=str(store.folder),
                            hint="choose a place on ext4, xfs or btrfs with --image-cache, or build with --no-cache")
    free = store.free_bytes()
    if free < LEAST_FREE_BYTES:
        raise StoreUnusable(f"only {free >> 20} MiB are free for them", where=str(store.folder),
                            hint="make room, with `pydib cache gc` for instance, or build with --no-cache")
