"""Handing an archive to docker."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.errors import ImageError
from pydib.image.docker import import_image


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n" + text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


@pytest.mark.contract("C-234")
def test_the_archive_comes_on_stdin_and_names_are_no_shell_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                ) -> None:
    stand_in(tmp_path, monkeypatch, f'printf "%s|" "$@" >{tmp_path}/words; cat >{tmp_path}/got\n')
    archive = tmp_path / "a $(touch b).tar"
    archive.write_bytes(bytes(range(256)))
    import_image(archive, name="repo/x:1;touch c")
    assert (tmp_path / "words").read_text() == "import|-|repo/x:1;touch c|"
    assert (tmp_path / "got").read_bytes() == bytes(range(256))


def test_what_docker_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo no daemon >&2; exit 1\n")
    (tmp_path / "a").write_text("")
    with pytest.raises(ImageError, match="docker did not take the image: no daemon"):
        import_image(tmp_path / "a", name="x")
