"""docs/testing-elements.md, taken apart: what it says to write, to run, and to expect."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/testing-elements.md"
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```\n", re.DOTALL)


@dataclass
class Page:
    """Files by path, command lines, the text of the expected table, and blocks of other kinds by their mark."""

    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    install: list[str] = field(default_factory=list)
    output: str = ""
    image: str = ""
    unknown: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write all files below `folder`; scripts of elements are executable."""
        for path, text in self.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o644)


def read() -> Page:
    """The page."""
    page = Page()
    for block in _BLOCK.finditer(PAGE.read_text()):
        mark, text = block["mark"] or "", block["text"]
        if mark.startswith("file: "):
            page.files[mark.removeprefix("file: ")] = text
        elif mark == "run":
            page.commands += text.splitlines()
        elif mark == "output":
            page.output = text
        elif mark == "image":
            page.image = text
        elif block["language"] == "sh" and not page.install:
            page.install = text.splitlines()
        else:
            page.unknown.append(text)
    return page
