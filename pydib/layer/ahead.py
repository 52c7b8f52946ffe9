"""Looking at layers ahead: the outer process of a build has nothing to do while the inner one begins.

It takes the signatures of the layers that the last build of the same image led to, and hands them over through a
pipe. They count as if the inner process had looked itself: that takes its lease on a layer, and reads the layer's
record, before it uses one.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydib.layer.content import signature_of
from pydib.layer.store import Store

_END = "end\n"


def look_ahead(folder: Path, image: str, out: int) -> None:
    """Write to the descriptor `out` the signatures of the layers in the store `folder` of the last build of `image`."""
    lines = []
    try:
        store = Store(folder)
        build = next((build for build in store.builds() if build.image == image and build.final), None)
        for state in (store.chain(build.final) if build else None) or ():
            if state.upper:
                lines.append(f"{state.id} {signature_of(store.layers / state.upper)}\n")
    except OSError:
        lines = []  # the inner process finds out what is wrong
    finally:
        _write(out, "".join(lines) + _END)


def _write(out: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(out, data):]


def read_ahead(source: int) -> dict[str, str]:
    """What `look_ahead` wrote to the other end of `source`: signatures by state; waits for it. Nothing from -1."""
    data = _END.encode() if source < 0 else b""
    while not data.endswith(_END.encode()):
        more = os.read(source, 1 << 16)
        if not more:
            return {}
        data += more
    return dict(line.split(" ") for line in data.decode().splitlines() if " " in line)
