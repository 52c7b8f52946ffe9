"""What is run for a whole disk in tree mode: the recorded commands lie beside each layout in fixtures/."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from pydib import blockdev
from pydib.blockdev.create import partitions
from pydib.blockdev.tree import assemble, ext, fat, kernel
from pydib.errors import BlockDeviceError, CommandFailed
from pydib.sizes import GIB

LAYOUTS = Path(__file__).resolve().parents[3] / "fixtures" / "blockdev" / "bootable"


class Recorded:
    """Commands instead of programs; places of this test are named by what they are."""

    def __init__(self, place: Path) -> None:
        self.lines: list[str] = []
        self._place = place

    def run(self, *argv: str | Path, stdin: bytes | BinaryIO = b"", **_: object) -> str:
        words = " ".join(map(str, argv)).replace(str(self._place), "")
        table = stdin.decode() if argv[0] == "sfdisk" and isinstance(stdin, bytes) else ""
        self.lines.append(words + "".join(f"\n    {line}" for line in table.splitlines()))
        return kernel._LAST_WORD if argv[0] == kernel.PROGRAM else ""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    made = Recorded(tmp_path)

    @contextmanager
    def view(tree: Path, point: str, points: tuple[str, ...], work: Path) -> Iterator[Path]:
        yield tree / point.lstrip("/")

    @contextmanager
    def mounted(source: Path, target: Path, **_: object) -> Iterator[Path]:
        yield target

    for module in (assemble, ext, fat, kernel, partitions):
        monkeypatch.setattr(module, "run", made.run)
    monkeypatch.setattr(assemble, "view", view)
    monkeypatch.setattr(kernel, "mounted", mounted)
    for name in ("tree/boot/efi/EFI", "tree/var", "images", "scratch"):
        (tmp_path / name).mkdir(parents=True)
    return made


def make(place: Path, layout: str) -> Path:
    graph = blockdev.load((LAYOUTS / f"{layout}.yaml").read_text())
    return blockdev.assemble_tree(graph, tree=place / "tree", image_dir=place / "images", work_dir=place / "scratch",
                                  size_bytes=2 * GIB, report=lambda event: None)


@pytest.mark.parametrize("layout", sorted(path.stem for path in LAYOUTS.glob("*.yaml")))
def test_the_recorded_commands_are_run(tmp_path: Path, recorded: Recorded, layout: str) -> None:
    image = make(tmp_path, layout)
    assert image == tmp_path / "images/image0.raw"
    assert image.stat().st_size == 2 * GIB
    assert list((tmp_path / "scratch").iterdir()) == []
    assert "\n".join(recorded.lines) + "\n" == (LAYOUTS / f"{layout}.commands").read_text()


def test_after_a_failure_no_image_is_left(tmp_path: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*argv: object, **_: object) -> str:
        raise CommandFailed([str(word) for word in argv], 1, "Could not allocate block in ext2 filesystem")

    monkeypatch.setattr(ext, "run", fails)
    with pytest.raises(BlockDeviceError, match="does not fit into the filesystem mkfs_boot"):
        make(tmp_path, "boot-var-swap")
    assert list((tmp_path / "images").iterdir()) == []
    assert list((tmp_path / "scratch").iterdir()) == []
