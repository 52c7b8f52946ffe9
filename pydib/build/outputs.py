"""Outputs: made in the staging directory, then given their final names."""

from __future__ import annotations

from pathlib import Path

from pydib import clock, events
from pydib.build.decide import Order
from pydib.build.step import step
from pydib.errors import ImageError
from pydib.image.convert import convert, take_raw
from pydib.image.docker import import_image
from pydib.image.publish import owner, publish
from pydib.image.vhd import make_vhd
from pydib.phase.plan import PACKED_TYPES


def staged(order: Order, kind: str) -> Path:
    """Where the output of that type is made, before it gets its final name."""
    return order.staging_dir / order.prepared.recipe.output(kind).name


def publish_outputs(order: Order, disk_image: Path | None, report: events.Reporter) -> None:
    """Make all outputs in the staging directory, then give each its final name. The raw image goes last: it moves.

    Docker may refuse, so it is asked before anything is published.
    """
    kinds = sorted(order.prepared.outputs, key=lambda kind: kind == "raw")
    for kind in kinds:
        with step(f"output {kind}", report):
            _make_output(order, kind, disk_image)
    for kind in sorted(kinds, key=lambda kind: kind != "docker"):
        publish_made(order, kind, report)


def _make_output(order: Order, kind: str, disk_image: Path | None) -> None:
    recipe, target = order.prepared.recipe, staged(order, kind)
    if kind in PACKED_TYPES:
        return  # made of the tree already
    if disk_image is None:
        raise ImageError("there is no disk image", where=str(target),
                         hint="a phase file must have the action create-disk, and release-disk after it")
    if kind == "raw":
        take_raw(disk_image, target)
    elif kind == "vhd":
        make_vhd(disk_image, target, options=recipe.qemu_img_options)
    else:
        convert(disk_image, target, kind=kind, compress=recipe.compress, compression=recipe.compression,
                options=recipe.qemu_img_options)


def publish_made(order: Order, kind: str, report: events.Reporter) -> None:
    """Give the output of that type, which lies in the staging directory, its final name."""
    recipe, made = order.prepared.recipe, staged(order, kind)
    if kind == "docker":
        import_image(made, name=recipe.docker_target)
        report(events.Note(text=f"Docker image {recipe.docker_target} imported"))
        return
    final = recipe.output(kind)
    made.chmod(0o666 & ~order.umask)
    kept = publish(made, final, checksums=recipe.checksums, shown_as=f"{recipe.output_name}.{kind}", moment=clock.now(),
                   keep_old=not recipe.overwrite_old_image, belongs_to=owner(recipe.environment))
    if kept:
        report(events.Note(text=f"The old {final.name} is kept as {kept.name}"))
    report(events.ImageWritten(path=str(final), kind=kind, size=final.stat().st_blocks * 512))
