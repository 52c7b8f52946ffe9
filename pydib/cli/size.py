"""`pydib size`: how much of an image each element and each script made."""

from __future__ import annotations

import html
import sys
from collections import Counter
from pathlib import Path

import click

from pydib import sizes, template
from pydib.cli.cache import store_of
from pydib.layer.history import Share, build_of, rectangles, shares

WIDTH, HEIGHT = 960, 540
_COLOURS = ("#7aa6d8", "#f2a65a", "#8cc07e", "#ea8a8b", "#93cbc6", "#f0d978", "#c79cc1", "#bd9b86", "#ffb7bf")


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--image-cache", type=click.Path(path_type=Path), help="The cache that the build used.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw a tree map into this file, too.")
def command(image: Path, image_cache: Path | None, svg: Path | None) -> None:
    """Tell the bytes on disk that elements and their scripts left in IMAGE."""
    with store_of(image_cache) as store:
        found = shares(store, build_of(store, image))
    elements: Counter[str] = Counter()
    for share in found:
        elements[share.element or "(pydib)"] += share.size_bytes
    sys.stdout.write(template.render("size.txt", elements=elements.most_common(), shares=found, size=sizes.human_size,
                                     total=sum(elements.values())))
    if svg:
        svg.write_text(_picture(found), encoding="utf-8")
        sys.stdout.write(f"{svg} drawn\n")


def _picture(found: list[Share]) -> str:
    shown = [share for share in found if share.size_bytes]
    boxes = rectangles([share.size_bytes for share in shown], x=0, y=0, width=WIDTH, height=HEIGHT)
    names = list(dict.fromkeys(share.element for share in shown))
    rows = [{"x": round(x, 1), "y": round(y, 1), "width": round(width, 1), "height": round(height, 1),
             "colour": _COLOURS[names.index(share.element) % len(_COLOURS)], "text": html.escape(share.made_by),
             "title": html.escape(_title(share)), "labelled": width > 90 and height > 18}
            for share, (x, y, width, height) in zip(shown, boxes, strict=True)]
    return template.render("tree-map.svg", rows=rows, width=WIDTH, height=HEIGHT)


def _title(share: Share) -> str:
    return f"{share.made_by} ({share.element or 'pydib'}): {sizes.human_size(share.size_bytes)}, {share.files} files"
